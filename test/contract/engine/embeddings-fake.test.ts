import { describe, expect, it } from 'vitest'
import { asLaneId } from '../../../src/domain/ids.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { describeEmbeddings, describeRanking } from './embedding-contract.ts'

describeEmbeddings('fake', async () => createFakeEngine({ embeddings: 'mean', canGenerate: false, laneCount: 2, contextSize: 128 }),
  { pooling: 'mean', size: 16, maxTokens: 128 })

describeRanking('fake', async () => createFakeEngine({ embeddings: 'rank', canGenerate: false, contextSize: 128 }))

describe('fake engine', () => {
  it('embeds beside its answers in the first lane, as many tokens as a step has', async () => {
    const engine = createFakeEngine({ embeddings: 'mean', laneCount: 2, contextSize: 128, maxStepTokens: 32 })
    expect(engine.info).toMatchObject({ embedding: { maxTokens: 32, laneCount: 1 } })
    expect(engine.info.canGenerate).toBeUndefined()
    await engine[Symbol.asyncDispose]()
    await expect(engine.embed(asLaneId(0), [])).rejects.toMatchObject({ code: 'engine_unavailable' })
  })

  it('makes no vectors unless asked to', async () => {
    const engine = createFakeEngine()
    expect(engine.info.embedding).toBeUndefined()
    await expect(engine.embed(asLaneId(0), [])).rejects.toMatchObject({ code: 'engine_error' })
  })
})
