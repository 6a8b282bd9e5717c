import { describe, expect, it } from 'vitest'
import { firstComeFirstServed } from '../../../src/scheduler/policies/admission.ts'
import type { Sequence } from '../../../src/scheduler/sequence.ts'

const sequence = (id: string): Sequence => ({ id }) as unknown as Sequence
const admitted = (ids: readonly string[], freeSlots: number, waiting: readonly string[] = []): readonly string[] =>
  [...firstComeFirstServed(ids.map(sequence), freeSlots, ({ id }) => waiting.includes(id))].map(({ id }) => id)

describe('first come, first served', () => {
  it('gives the free slots in the order of arrival', () => {
    expect(admitted(['a', 'b', 'c'], 2)).toEqual(['a', 'b'])
    expect(admitted(['a', 'b', 'c'], 0)).toEqual([])
    expect(admitted([], 2)).toEqual([])
  })

  it('keeps a slot for a choice that waits for its prompt, so that nobody overtakes it', () => {
    expect(admitted(['choice', 'later'], 1, ['choice'])).toEqual([])
    expect(admitted(['choice', 'later', 'last'], 2, ['choice'])).toEqual(['later'])
  })
})
