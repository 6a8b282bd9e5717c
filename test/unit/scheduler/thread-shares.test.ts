import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asLaneId } from '../../../src/domain/ids.ts'
import { threadShare } from '../../../src/scheduler/policies/thread-shares.ts'

const lanes = (...ids: number[]) => ids.map(asLaneId)

describe('threadShare', () => {
  it.each([
    { threads: 8, busy: 0, active: [2], lane: 2, share: 8, why: 'it is alone' },
    { threads: 8, busy: 0, active: [0, 2], lane: 2, share: 4, why: 'half is its own' },
    { threads: 7, busy: 0, active: [0, 2], lane: 0, share: 4, why: 'the first one has the odd thread' },
    { threads: 7, busy: 4, active: [0, 2], lane: 2, share: 3, why: 'the other one has the odd thread' },
    { threads: 8, busy: 6, active: [0, 1], lane: 1, share: 2, why: 'the other one’s step began with more' },
    { threads: 8, busy: 8, active: [0, 1], lane: 1, share: 0, why: 'the other one’s step began when it was alone' }
  ])('is $share of $threads with $busy busy: $why', ({ threads, busy, active, lane, share }) => {
    expect(threadShare(threads, busy, lanes(...active), asLaneId(lane))).toBe(share)
  })

  it('gives every lane at least one thread, and all of them together no more than there are', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 20 }), (count, more) => {
      const threads = count + more
      const active = lanes(...Array.from({ length: count }, (_, index) => index))
      let busy = 0
      for (const lane of active) {
        const share = threadShare(threads, busy, active, lane)
        expect(share).toBeGreaterThanOrEqual(1)
        busy += share
      }
      expect(busy).toBe(threads)
    }))
  })
})
