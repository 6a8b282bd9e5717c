import { describe, expect, it } from 'vitest'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import type { EngineInfo } from '../../../src/engine/engine.ts'
import { answerBounds } from '../../../src/http/answer-bounds.ts'
import { estimateRun } from '../../../src/http/run-estimate.ts'
import { asToken } from '../../../src/domain/ids.ts'
import type { Prompt } from '../../../src/inference/inference.ts'

const { info: fake } = createFakeEngine()
const info: EngineInfo = { ...fake, contextSize: 2000, model: { ...fake.model, longestTokenBytes: 10 } }
const text = (length: number): Prompt => ({ segments: [{ text: 'x'.repeat(length), origin: 'user' }] })

describe('what a run is expected to take', () => {
  it('is a token for every four bytes, and all that it asks for; at least as few as there can be', () => {
    expect(estimateRun({ prompts: [text(400)], choices: 1, maxTokens: 50 }, info)).toEqual({ leastTokens: 90, promptTokens: 100, answerTokens: 50 })
    expect(estimateRun({ prompts: [{ tokens: [1, 2, 3].map(asToken) }], choices: 1, maxTokens: 50 }, info)).toEqual({ leastTokens: 53, promptTokens: 3, answerTokens: 50 })
  })

  it('has each prompt once, and each choice', () => {
    expect(estimateRun({ prompts: [text(400), text(40)], choices: 3, maxTokens: 50 }, info)).toEqual({ leastTokens: 40 + 4 + 6 * 50, promptTokens: 110, answerTokens: 300 })
  })

  it('has 1,024 tokens for an answer of which nobody says how long it is, and never more than the context', () => {
    expect(estimateRun({ prompts: [text(400)], choices: 1, maxTokens: null }, info)).toMatchObject({ leastTokens: 41, answerTokens: 1024 })
    expect(estimateRun({ prompts: [text(4000)], choices: 1, maxTokens: null }, info)).toMatchObject({ promptTokens: 1000, answerTokens: 1000 })
    expect(estimateRun({ prompts: [text(400)], choices: 1, maxTokens: 100_000 }, info)).toEqual({ leastTokens: 2000, promptTokens: 100, answerTokens: 1900 })
    expect(estimateRun({ prompts: [text(400)], choices: 1, maxTokens: null, contextLimit: 300 }, info)).toMatchObject({ answerTokens: 200 })
  })

  it('is no answer where vectors are wanted', () => {
    expect(estimateRun({ prompts: [text(400), text(400)], choices: 0, maxTokens: null }, info)).toEqual({ leastTokens: 80, promptTokens: 200, answerTokens: 0 })
  })

  it('is none for a prompt that is too long in any case', () => {
    expect(() => estimateRun({ prompts: [text(3000)], choices: 1, maxTokens: 1, contextLimit: 300 }, info)).toThrow('Your key\'s limit is a context of 300 tokens')
  })
})

it('an answer is held to the least of what request, model, key and owner say', () => {
  const limits = [{ subject: 'key:a', limits: { answerTokens: 30, contextTokens: 500 } }, { subject: 'owner:b', limits: { answerTokens: 20 } }]
  expect(answerBounds({ limits }, null, undefined)).toEqual({ maxTokens: 20, contextLimit: 500 })
  expect(answerBounds({ limits }, 7, undefined)).toEqual({ maxTokens: 7, contextLimit: 500 })
  expect(answerBounds({ limits: [] }, 70, { byDefault: 'off', atMost: 60 })).toEqual({ maxTokens: 60 })
  expect(answerBounds({ limits: [] }, null, undefined)).toEqual({ maxTokens: null })
})
