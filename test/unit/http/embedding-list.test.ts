import { describe, expect, it } from 'vitest'
import { decodeVector } from '../../../src/domain/vector-bytes.ts'
import { toEmbeddingList } from '../../../src/http/embedding-list.ts'

const options = { model: 'm "1"', promptTokens: 7, dimensions: 2, encoding: 'float' } as const

interface List {
  readonly data: readonly { readonly embedding: string }[]
}

describe('a list of embeddings', () => {
  it('is OpenAI\'s object', async () => {
    const list = await toEmbeddingList([Float32Array.of(3, 4, 5), Float32Array.of(0, 0, 1)], options)
    expect(JSON.parse(list)).toEqual({
      object: 'list',
      data: [
        { object: 'embedding', index: 0, embedding: [Math.fround(0.6), Math.fround(0.8)] },
        { object: 'embedding', index: 1, embedding: [0, 0] }
      ],
      model: 'm "1"',
      usage: { prompt_tokens: 7, total_tokens: 7 }
    })
    expect(JSON.parse(await toEmbeddingList([], options))).toMatchObject({ object: 'list', data: [] })
  })

  it('has the same numbers as base64', async () => {
    const { data } = JSON.parse(await toEmbeddingList([Float32Array.of(3, 4)], { ...options, encoding: 'base64' })) as List
    expect([...decodeVector(data[0]!.embedding)]).toEqual([Math.fround(0.6), Math.fround(0.8)])
  })

  it.each(['float', 'base64'] as const)('lets others have their turn while it is written as %s', async (encoding) => {
    let turns = 0
    let isWritten = false
    const take = (): void => {
      turns++
      if (!isWritten) setImmediate(take)
    }
    setImmediate(take)
    await toEmbeddingList(Array.from({ length: 100 }, () => new Float32Array(1024).fill(0.5)), { ...options, dimensions: 1024, encoding })
    isWritten = true
    expect(turns).toBeGreaterThanOrEqual(5)
  })
})
