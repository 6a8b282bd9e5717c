import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asRequestId, asTenantId } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, type Sampling } from '../../../src/domain/sampling.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import type { PredictionCounts } from '../../../src/inference/inference.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { demoEngineOptions } from './demo-model.ts'

const passage = 'Once upon a time there was a small cat. The cat liked big ships and small boats. One day the cat found a red ball. '

/** The scheduler's guesses on the real model against none, one stream at a time: company changes how a prompt's sums are rounded. */
describe('guesses on the demo model', () => {
  const inferences: LocalInference[] = []
  let requests = 0
  /** What came of the last answer's prediction. */
  let counted: PredictionCounts | undefined

  beforeAll(async () => {
    for (const mostGuesses of [0, 15]) {
      const engine = await createLlamaCppEngine({ ...demoEngineOptions, laneCount: 1, slotsPerLane: 1, contextSize: 512, maxStepTokens: 256 })
      // Where steps seem to take no time, every guess that is likelier than none seems to pay.
      inferences.push(new LocalInference(engine, { maxQueue: 8, mostGuesses, now: () => 0 }))
    }
  })

  afterAll(async () => { for (const inference of inferences) await inference[Symbol.asyncDispose]() })

  const answer = async (inference: LocalInference, text: string, sampling: Sampling, maxTokens: number, prediction?: string): Promise<string> => {
    let answered = ''
    const events = inference.generate({
      id: asRequestId(`request-${++requests}`),
      tenant: asTenantId('tenant'),
      prompt: { segments: [{ text, origin: 'template' }] },
      adapters: baseAdapterSet,
      choices: 1,
      maxTokens,
      stop: [],
      sampling,
      ...(prediction === undefined ? {} : { prediction }),
      queueTimeoutMs: 1000,
      timeoutMs: 1000
    }, new AbortController().signal)
    for await (const event of events) {
      if (event.type === 'text') answered += event.text
      if (event.type === 'finished') counted = event.prediction
    }
    return answered
  }

  it.each<[string, Sampling]>([
    ['greedy', greedySampling],
    ['seeded', { ...defaultSampling(3), temperature: 0.5 }],
    ['penalised', { ...greedySampling, frequencyPenalty: 0.05, repeatPenalty: 1.02 }]
  ])('change no %s answer', async (_, sampling) => {
    for (const start of ['Once upon', 'One day the cat', 'They', 'A bird']) {
      const answers: string[] = []
      for (const inference of inferences) answers.push(await answer(inference, passage.repeat(2) + start, { ...sampling, ignoreEos: true }, 120))
      expect(answers[1]).toBe(answers[0])
    }
  })

  it('from a prediction change no answer, and save steps where it is right', async () => {
    const [plain, guessing] = inferences as [LocalInference, LocalInference]
    const sampling = { ...defaultSampling(4), ignoreEos: true }
    const expected = await answer(plain, 'A dog', sampling, 100)
    const before = guessing.snapshot()
    expect(await answer(guessing, 'A dog', sampling, 100, expected)).toBe(expected)
    expect(counted?.accepted).toBeGreaterThan(50)
    expect(counted?.accepted).toBeLessThan(100)
    expect(counted?.rejected).toBe(0)
    const { steps, rightGuesses } = guessing.snapshot()
    expect(steps - before.steps).toBeLessThan(50)
    expect(rightGuesses - before.rightGuesses).toBeGreaterThan(50)
    expect(await answer(guessing, 'A dog', sampling, 100, passage)).toBe(expected)
    // After half of it the answer goes on otherwise.
    expect(await answer(guessing, 'A dog', sampling, 100, `${expected.slice(0, expected.length / 2)} ${passage}`)).toBe(expected)
    expect(counted?.accepted).toBeGreaterThan(10)
    expect(counted?.rejected).toBeGreaterThan(0)
    await answer(plain, 'A dog', sampling, 100, expected)
    expect(counted).toBe(undefined)
  })

  it('were made, and some were right', () => {
    const [plain, guessing] = inferences.map((inference) => inference.snapshot())
    expect(plain!.guessedTokens).toBe(0)
    expect(guessing!.rightGuesses).toBeGreaterThan(0)
    expect(guessing!.steps).toBeLessThan(plain!.steps)
  })
})
