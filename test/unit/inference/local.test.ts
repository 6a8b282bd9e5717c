import { describe, expect, it } from 'vitest'
import { asTenantId } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { generationRequest } from '../../support/generation.ts'

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
