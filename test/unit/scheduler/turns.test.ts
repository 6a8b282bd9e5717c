import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAdapterSet, type AdapterSet, type AdapterSetKey } from '../../../src/domain/adapter-set.ts'
import { Turns } from '../../../src/scheduler/policies/turns.ts'

const setsOf = (...names: string[]): Map<AdapterSetKey, AdapterSet> => new Map(names.map((name) => {
  const set = createAdapterSet([{ name, generation: 1, scale: 1 }])
  return [set.key, set]
}))

interface Costs {
  readonly decodeMs: number
  readonly switchMs: number
  /** Prompt tokens of the n-th step of a set, and what they add. */
  readonly prompt?: (name: string, step: number) => { readonly tokens: number, readonly ms: number }
}

/** Whose steps there were, and how long each took. */
function run (turns: Turns, names: readonly string[], steps: number, { decodeMs, switchMs, prompt }: Costs) {
  const log: { readonly name: string, readonly durationMs: number }[] = []
  const taken = new Map<string, number>()
  let last: string | null = null
  for (let step = 0; step < steps; step++) {
    const name = turns.next(setsOf(...names)).adapters[0]!.name
    const nth = (taken.get(name) ?? 0) + 1
    taken.set(name, nth)
    const { tokens = 0, ms = 0 } = prompt?.(name, nth) ?? {}
    const durationMs = decodeMs + (name === last ? 0 : switchMs) + ms
    turns.learn({ decodes: 1, guesses: 0, promptTokens: tokens, durationMs })
    log.push({ name, durationMs })
    last = name
  }
  return log
}

/** Lengths of turns, in steps. */
function turnLengths (log: readonly { readonly name: string }[]): number[] {
  const lengths: number[] = []
  for (const [index, { name }] of log.entries()) {
    if (name === log[index - 1]?.name) lengths[lengths.length - 1]!++
    else lengths.push(1)
  }
  return lengths
}

describe('Turns', () => {
  it('counts how often the adapters changed', () => {
    const turns = new Turns(64)
    run(turns, ['a'], 5, { decodeMs: 1, switchMs: 1 })
    expect(turns.switches).toBe(0)
    const log = run(turns, ['a', 'b', 'c'], 300, { decodeMs: 1, switchMs: 1 })
    // Both begin with "a".
    expect(turns.switches).toBe(turnLengths(log).length - 1)
    run(turns, ['b'], 5, { decodeMs: 1, switchMs: 1 })
    expect(turns.switches).toBe(turnLengths([...log, { name: 'b' }]).length - 1)
  })

  it('leaves a set alone that is alone', () => {
    expect(turnLengths(run(new Turns(4), ['a'], 20, { decodeMs: 1, switchMs: 1 }))).toEqual([20])
  })

  it('makes turns so long that changes of adapters cost little', () => {
    const log = run(new Turns(64), ['a', 'b'], 600, { decodeMs: 1, switchMs: 1 })
    expect(turnLengths(log.slice(-200)).slice(1, -1)).toEqual([25, 25, 25, 25, 25, 25, 25].slice(0, turnLengths(log.slice(-200)).length - 2))
  })

  it('makes them no longer than others should wait for their next token', () => {
    const log = run(new Turns(64), ['a', 'b', 'c', 'd', 'e'], 600, { decodeMs: 30, switchMs: 5 })
    // A quarter of a second for the turns of four others.
    expect(new Set(turnLengths(log.slice(-100)).slice(1, -1))).toEqual(new Set([2]))
  })

  it('lets changes take a fifth of the time where both cannot be had', () => {
    const log = run(new Turns(64), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'], 900, { decodeMs: 10, switchMs: 40 })
    expect(new Set(turnLengths(log.slice(-200)).slice(1, -1))).toEqual(new Set([20]))
  })

  it('takes steps that read prompts for what they are worth', () => {
    const prompt = (name: string) => name === 'reader' ? { tokens: 64, ms: 45 } : { tokens: 0, ms: 0 }
    const log = run(new Turns(64), ['reader', 'writer'], 2000, { decodeMs: 5, switchMs: 2, prompt }).slice(-1000)
    const time = (of: string) => log.filter(({ name }) => name === of).reduce((sum, { durationMs }) => sum + durationMs, 0)
    // The two have about the same time, not the same number of steps.
    expect(time('reader') / time('writer')).toBeGreaterThan(0.7)
    expect(time('reader') / time('writer')).toBeLessThan(1.4)
  })

  it('never lets a set wait for more than the turns of the others', () => {
    fc.assert(fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.record({ present: fc.subarray(['a', 'b', 'c', 'd'], { minLength: 1 }), durationMs: fc.double({ min: 0, max: 1000, noNaN: true }), promptTokens: fc.constantFrom(0, 0, 0, 50) }), { maxLength: 200 }),
      (mostSteps, steps) => {
        const turns = new Turns(mostSteps)
        const waited = new Map<string, number>()
        for (const { present, durationMs, promptTokens } of steps) {
          const chosen = turns.next(setsOf(...present)).adapters[0]!.name
          expect(present).toContain(chosen)
          for (const name of [...waited.keys()]) if (!present.includes(name)) waited.delete(name)
          for (const name of present) waited.set(name, name === chosen ? 0 : (waited.get(name) ?? 0) + 1)
          for (const steps of waited.values()) expect(steps).toBeLessThanOrEqual(3 * mostSteps)
          turns.learn({ decodes: 1, guesses: 0, promptTokens, durationMs })
        }
      }
    ))
  })
})
