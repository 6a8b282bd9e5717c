import { describe, expect, it } from 'vitest'
import { asTenantId } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import type { GenerationEvent, GenerationRequest } from '../../../src/inference/inference.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { collectEvents, generationRequest, neverAborted, textOf } from '../../support/generation.ts'

const ignored = { push: () => {}, end: () => {}, fail: () => {} }

describe('a full queue', () => {
  it('refuses without a look at prompt or grammar', async () => {
    const engine = createFakeEngine({ slotsPerLane: 1 })
    const seen: string[] = []
    const { tokenizer } = engine
    const watched = new Proxy(engine, {
      get (target, name) {
        if (name === 'checkGrammar') return (grammar: string) => { seen.push(grammar) }
        if (name === 'tokenizer') return { ...tokenizer, tokenize: (text: string, options: { special: boolean }) => { seen.push(text); return tokenizer.tokenize(text, options) }, tokenBytes: tokenizer.tokenBytes.bind(tokenizer), tokenText: tokenizer.tokenText.bind(tokenizer) }
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
    const inference = new LocalInference(watched, { maxQueue: 1, policy: 'first-come-first-served', now: () => 0 })
    for (const prompt of ['first', 'second']) inference.submit(generationRequest(prompt), ignored)
    expect(seen).toEqual(['first', 'second'])
    const third = generationRequest('third', { sampling: { ...greedySampling, grammar: 'root ::= "a"' }, prediction: 'prediction' })
    expect(() => { inference.submit(third, ignored) }).toThrow(expect.objectContaining({ code: 'queue_full' }))
    expect(() => { inference.submit({ ...third, tenant: asTenantId('other') }, ignored) }).toThrow(expect.objectContaining({ code: 'queue_full' }))
    expect(seen).toEqual(['first', 'second'])
    expect(inference.snapshot()).toMatchObject({ requests: 2 })
    await inference.destroy(new Error('done'))
  })
})

describe('guesses from a prediction', () => {
  const run = async (changes: Partial<GenerationRequest>, mostGuesses = 7): Promise<GenerationEvent[]> => {
    // Where steps seem to take no time, every guess that is likelier than none seems to pay.
    await using inference = new LocalInference(createFakeEngine({ slotsPerLane: 2 }), { maxQueue: 4, mostGuesses, now: () => 0 })
    return await collectEvents(inference.generate(generationRequest('Tell me', { maxTokens: 60, ...changes }), neverAborted))
  }
  const finished = (events: readonly GenerationEvent[]) => {
    const last = events.at(-1)
    if (last?.type !== 'finished') throw new Error('It did not end')
    return last
  }

  it('are counted over all choices, and up to the end of each answer', async () => {
    const plain = await run({})
    const answer = textOf(plain)
    expect(finished(plain)).not.toHaveProperty('prediction')
    expect(finished(await run({ prediction: answer }, 0))).not.toHaveProperty('prediction')
    const one = finished(await run({ prediction: answer })).prediction
    expect(one?.accepted).toBeGreaterThan(20)
    const two = finished(await run({ prediction: answer, choices: 2 })).prediction
    expect(two?.accepted).toBeGreaterThan(one!.accepted)
    const stopped = await run({ prediction: answer, stop: [answer.slice(10, 14)] })
    expect(stopped.at(-2)).toMatchObject({ type: 'choice-finished', reason: 'stop' })
    expect(finished(stopped).prediction!.accepted).toBeGreaterThan(0)
    expect(finished(stopped).prediction!.accepted).toBeLessThan(finished(stopped).completionTokens)
  })
})
