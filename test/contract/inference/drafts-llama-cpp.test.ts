import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asRequestId, asTenantId } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, type Sampling } from '../../../src/domain/sampling.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { demoEngineOptions } from './demo-model.ts'

/** Says that drafting takes no time, so that every draft seems to pay: the clock of these tests stands still. */
const timeless = (engine: Engine): Engine => ({
  info: engine.info,
  tokenizer: engine.tokenizer,
  step: async (plan) => (await engine.step(plan)).map((outcome) => 'token' in outcome && outcome.drafted !== undefined
    ? { ...outcome, drafted: { ...outcome.drafted, durationMs: 0, readMs: 0 } }
    : outcome),
  embed: async (lane, tokens) => await engine.embed(lane, tokens),
  checkGrammar: (grammar) => { engine.checkGrammar(grammar) },
  loadAdapter: async (...parameters) => { await engine.loadAdapter(...parameters) },
  unloadAdapter: async (key) => { await engine.unloadAdapter(key) },
  [Symbol.asyncDispose]: async () => { await engine[Symbol.asyncDispose]() }
})

/** The scheduler and a draft model against none, one stream at a time: company changes how a prompt's sums are rounded. */
describe('drafts for the demo model', () => {
  const inferences: LocalInference[] = []
  let requests = 0

  beforeAll(async () => {
    for (const [draftModelPath, mostGuesses] of [[undefined, 0], [join(demoEngineOptions.modelPath, '../demo-draft-q8_0.gguf'), 15]] as const) {
      const engine = await createLlamaCppEngine({
        ...demoEngineOptions, draftModelPath, laneCount: 1, slotsPerLane: 1, contextSize: 512, maxStepTokens: 256
      })
      inferences.push(new LocalInference(timeless(engine), { maxQueue: 8, mostGuesses, now: () => 0 }))
    }
  })

  afterAll(async () => { for (const inference of inferences) await inference[Symbol.asyncDispose]() })

  const answer = async (inference: LocalInference, question: string, sampling: Sampling): Promise<string> => {
    let answered = ''
    const events = inference.generate({
      id: asRequestId(`request-${++requests}`),
      tenant: asTenantId('tenant'),
      prompt: { segments: [{ text: `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`, origin: 'template' }] },
      adapters: baseAdapterSet,
      choices: 1,
      maxTokens: 200,
      stop: [],
      sampling,
      queueTimeoutMs: 1000,
      timeoutMs: 1000
    }, new AbortController().signal)
    for await (const event of events) {
      if (event.type !== 'text') continue
      answered += event.text
      for (const { token, logprob } of event.logprobs ?? []) answered += ` [${token} ${logprob.toFixed(2)}]`
    }
    return answered
  }

  it.each<[string, Sampling]>([
    ['greedy', greedySampling],
    ['seeded', { ...defaultSampling(3), temperature: 0.8 }],
    ['penalised', { ...defaultSampling(4), temperature: 0.6, frequencyPenalty: 0.3, repeatPenalty: 1.05 }],
    ['scored', { ...greedySampling, logprobs: 0 }]
  ])('change no %s answer', async (_, sampling) => {
    for (const question of ['Tell me a story.', 'Count from 1 to 100.', 'Who are you, and what can you do?', 'Tell me about the sea.']) {
      const [plain, drafting] = inferences as [LocalInference, LocalInference]
      expect(await answer(drafting, question, sampling)).toBe(await answer(plain, question, sampling))
    }
  })

  it('were made, and most of them were right: far fewer steps gave the same tokens', () => {
    const [plain, drafting] = inferences.map((inference) => inference.snapshot())
    expect(plain!.draftedTokens).toBe(0)
    expect(drafting!.drawnTokens).toBe(plain!.drawnTokens)
    expect(drafting!.rightDrafts).toBeGreaterThan(0.2 * drafting!.draftedTokens)
    expect(drafting!.steps).toBeLessThan(0.5 * plain!.steps)
  })
})
