import { describe, expect, it } from 'vitest'
import { asToken } from '../../../src/domain/ids.ts'
import { detokenizeRefusal, embeddingRefusal, inputLengthRefusal, lengthRefusal, predictionRefusal, promptRefusal, tokenizeRefusal } from '../../../src/inference/call-limits.ts'
import type { EngineInfo } from '../../../src/engine/engine.ts'
import type { Prompt } from '../../../src/inference/inference.ts'
import { embeddingRequest } from '../../support/generation.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'

const { info } = createFakeEngine()
const infoOf = (contextSize: number, longestTokenBytes: number): EngineInfo =>
  ({ ...info, contextSize, model: { ...info.model, longestTokenBytes } })
const text = (...texts: string[]): Prompt => ({ segments: texts.map((part) => ({ text: part, origin: 'user' })) })
const tokens = (count: number) => Array.from({ length: count }, () => asToken(1))

describe('call limits', () => {
  it('refuse a prompt only when it cannot fit, however its text falls into tokens', () => {
    const small = infoOf(10, 4)
    // Nine tokens of four bytes leave room for one more.
    expect(promptRefusal(text('x'.repeat(30), 'x'.repeat(6)), small)).toBeNull()
    expect(promptRefusal(text('x'.repeat(30), 'x'.repeat(7)), small)?.message).toContain('at least 10.')
    expect(promptRefusal({ tokens: tokens(9) }, small)).toBeNull()
    expect(promptRefusal({ tokens: tokens(10) }, small)).toMatchObject({ code: 'context_length_exceeded' })
  })

  it('refuse a prompt that leaves no room in the context of its key, and say whose it is', () => {
    const small = infoOf(10, 4)
    expect(promptRefusal(text('x'.repeat(12)), small, 4)).toBeNull()
    expect(promptRefusal(text('x'.repeat(13)), small, 4)?.message).toContain('Your key\'s limit is a context of 4 tokens, and the prompt has at least 4.')
    expect(lengthRefusal(4, small, 4)).toMatchObject({ code: 'context_length_exceeded' })
    expect(lengthRefusal(10, small, 40)?.message).toContain('maximum context length is 10 tokens')
  })

  it('refuse an input only when it cannot fit', () => {
    const embedder = createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 10 }).info
    const model = (longestTokenBytes: number): EngineInfo => ({ ...embedder, model: { ...embedder.model, longestTokenBytes } })
    const refusal = (text: string, of: EngineInfo) => embeddingRefusal(embeddingRequest(['a', text]), of)
    expect(refusal('x'.repeat(40), model(4))).toBeNull()
    expect(refusal('x'.repeat(41), model(4))).toMatchObject({ code: 'context_length_exceeded', param: 'input[1]' })
    // Any word may be one token that stands for all unknown ones.
    expect(refusal('x'.repeat(1_048_576), model(Number.MAX_SAFE_INTEGER))).toBeNull()
    expect(refusal('x'.repeat(1_048_577), model(Number.MAX_SAFE_INTEGER))).toMatchObject({ code: 'invalid_value', param: 'input[1]' })
    expect(inputLengthRefusal(10, embedder, 'input[0]')).toBeNull()
    expect(inputLengthRefusal(11, embedder, 'input[0]')?.message).toBe('This model\'s maximum input length is 10 tokens, and \'input[0]\' has 11')
    expect(embeddingRefusal(embeddingRequest(['a']), info)).toMatchObject({ code: 'unsupported_value', param: 'model' })
  })

  it('count bytes, not characters', () => {
    expect(promptRefusal(text('🌊'.repeat(9)), infoOf(10, 4))).toBeNull()
    expect(promptRefusal(text('🌊'.repeat(10)), infoOf(10, 4))).not.toBeNull()
  })

  it('refuse a prediction that is longer than every answer', () => {
    expect(predictionRefusal(undefined, infoOf(10, 4))).toBeNull()
    expect(predictionRefusal('x'.repeat(40), infoOf(10, 4))).toBeNull()
    expect(predictionRefusal('x'.repeat(41), infoOf(10, 4))).toMatchObject({ code: 'invalid_value', param: 'prediction' })
  })

  it('let every prompt be tokenized, and every context be turned into text', () => {
    expect(tokenizeRefusal(text('x'.repeat(1_048_576)), infoOf(10, 4))).toBeNull()
    expect(tokenizeRefusal(text('x'.repeat(1_048_577)), infoOf(10, 4))).toMatchObject({ code: 'invalid_value' })
    expect(tokenizeRefusal(text('x'.repeat(1_200_000)), infoOf(300_000, 4))).toBeNull()
    expect(detokenizeRefusal(tokens(262_144), infoOf(10, 4))).toBeNull()
    expect(detokenizeRefusal(tokens(262_145), infoOf(10, 4))).toMatchObject({ code: 'invalid_value', param: 'tokens' })
    expect(detokenizeRefusal(tokens(262_145), infoOf(300_000, 4))).toBeNull()
  })
})
