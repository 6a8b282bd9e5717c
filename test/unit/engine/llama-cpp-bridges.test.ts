import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bridgesOf, type BridgeCosts } from '../../../src/engine/llama-cpp/bridges.ts'

describe('bridgesOf', () => {
  const all = (): boolean => true
  /** A pass takes the same time, however long it is. */
  const flat: BridgeCosts = { mayGoAlong: all, passMs: () => 1 }

  it.each([
    { busy: [0, 1, 2], room: 9, bridges: [], why: 'there is no gap' },
    { busy: [0, 2, 3], room: 9, bridges: [1], why: 'one closes it' },
    { busy: [3, 5, 6, 8], room: 9, bridges: [4, 7], why: 'all gaps are closed, and nothing outside of them' },
    { busy: [0, 3], room: 9, bridges: [1, 2], why: 'as many idle as work' },
    { busy: [0, 4], room: 9, bridges: [], why: 'more would idle than work' },
    { busy: [0, 2, 4], room: 1, bridges: [], why: 'the step has no room for both' },
    { busy: [], room: 9, bridges: [], why: 'nobody works' }
  ])('is $bridges for $busy with room for $room: $why', ({ busy, room, bridges }) => {
    expect(bridgesOf(busy, room, flat)).toEqual(bridges)
  })

  it('asks nothing of slots that are full', () => {
    expect(bridgesOf([0, 2, 4], 9, { ...flat, mayGoAlong: (slot) => slot !== 3 })).toEqual([1])
  })

  it('closes the gaps that are worth it, by what passes take', () => {
    // One slot takes 10 ms, two take 30, each more takes 3: a lone one stays alone, large ones come together.
    const passMs = (slots: number): number => slots === 1 ? 10 : 24 + 3 * slots
    expect(bridgesOf([0, 2], 9, { mayGoAlong: all, passMs })).toEqual([])
    expect(bridgesOf([0, 1, 2, 4, 5, 6], 9, { mayGoAlong: all, passMs })).toEqual([3])
    expect(bridgesOf([0, 1, 2, 4, 5, 6, 16, 17, 18], 9, { mayGoAlong: all, passMs })).toEqual([3])
    // Where each slot takes its own time there is nothing to gain.
    expect(bridgesOf([0, 1, 2, 4, 5, 6], 9, { mayGoAlong: all, passMs: (slots) => slots })).toEqual([])
  })

  it('does nothing of which it is not known what it takes', () => {
    const passMs = (slots: number): number | null => slots <= 3 ? 1 : null
    expect(bridgesOf([0, 1, 2, 4, 5, 6], 9, { mayGoAlong: all, passMs })).toEqual([])
    expect(bridgesOf([0, 2, 4, 5], 9, { mayGoAlong: all, passMs })).toEqual([1])
    expect(bridgesOf([0, 1, 2, 3, 5], 9, { mayGoAlong: all, passMs })).toEqual([])
  })

  it('never makes the passes take longer than they would without, and takes idle slots along alone', () => {
    fc.assert(fc.property(
      fc.uniqueArray(fc.nat(24), { minLength: 1, maxLength: 12 }).map((slots) => slots.sort((a, b) => a - b)),
      fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 25, maxLength: 25 }),
      fc.nat(24),
      (busy, growths, room) => {
        const passMs = (slots: number): number => growths.slice(0, slots).reduce((sum, growth) => sum + growth, 0)
        const totalMs = (slots: readonly number[]): number => {
          const starts = slots.filter((slot) => !slots.includes(slot - 1))
          return starts.reduce((sum, start) => {
            let end = start
            while (slots.includes(end)) end++
            return sum + passMs(end - start)
          }, 0)
        }
        const bridges = bridgesOf(busy, room, { mayGoAlong: all, passMs })
        const together = [...busy, ...bridges].sort((a, b) => a - b)
        expect(totalMs(together)).toBeLessThanOrEqual(totalMs(busy) + 1e-9)
        expect(new Set(together).size).toBe(busy.length + bridges.length)
        expect(bridges.length).toBeLessThanOrEqual(Math.min(room, busy.length))
      }
    ))
  })
})
