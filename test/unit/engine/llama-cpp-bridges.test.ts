import { describe, expect, it } from 'vitest'
import { bridgesOf } from '../../../src/engine/llama-cpp/bridges.ts'

describe('bridgesOf', () => {
  const all = (): boolean => true

  it.each([
    { busy: [0, 1, 2], room: 9, bridges: [], why: 'there is no gap' },
    { busy: [0, 2, 3], room: 9, bridges: [1], why: 'one closes it' },
    { busy: [3, 5, 6, 8], room: 9, bridges: [4, 7], why: 'all gaps are closed, and nothing outside of them' },
    { busy: [0, 3], room: 9, bridges: [1, 2], why: 'as many idle as work' },
    { busy: [0, 4], room: 9, bridges: [], why: 'more would idle than work' },
    { busy: [0, 2, 4], room: 1, bridges: [], why: 'the step has no room for both' },
    { busy: [], room: 9, bridges: [], why: 'nobody works' }
  ])('is $bridges for $busy with room for $room: $why', ({ busy, room, bridges }) => {
    expect(bridgesOf(busy, room, all)).toEqual(bridges)
  })

  it('asks nothing of slots that are full', () => {
    expect(bridgesOf([0, 2, 4], 9, (slot) => slot !== 3)).toEqual([])
  })
})
