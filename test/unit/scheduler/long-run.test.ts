import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SequenceId } from '../../../src/domain/ids.ts'
import { actions, crowdedRequest, type Scenario } from './scenario.ts'
import { play } from './trace.ts'

/**
 * What the laws say of hundreds of short stories, over one long one: arrivals, leavings, time-outs, preemptions, lost steps and slots,
 * with the state of all that came before.
 */
describe('ten thousand events', () => {
  it.each([1, 2, 3])('leave nothing behind and break no law (seed %i)', async (seed) => {
    const scenario: Scenario = {
      config: {
        laneCount: 2, slotsPerLane: 4, contextSize: 160, stepTokens: 48, threads: 2, maxQueue: 24, turnSteps: 3, targetItlMs: 'auto', policy: 'fair'
      },
      actions: fc.sample(actions(crowdedRequest), { numRuns: 10_000, seed }),
      faults: Array.from({ length: 60 }, (_, index) => [index * 50 + seed, index % 2 === 0 ? 'reject' : 'fail'] as const)
    }
    const trace = await play(scenario)
    expect(trace.violations).toEqual([])
    const ends = new Map<SequenceId, number>()
    const end = (id: SequenceId): void => { ends.set(id, (ends.get(id) ?? 0) + 1) }
    const gone = new Set<SequenceId>()
    for (const entry of trace.entries) {
      if (entry.kind === 'abort' || entry.kind === 'finish') gone.add(entry.id)
      if (!('events' in entry)) continue
      for (const event of entry.events) {
        expect(gone.has(event.id) || ends.has(event.id)).toBe(false)
        if (event.type === 'sequence-finished' || event.type === 'sequence-failed') end(event.id)
      }
    }
    for (const id of gone) if (!ends.has(id)) end(id)
    expect(ends.size).toBe(trace.sequences.size)
    expect(Math.max(...ends.values())).toBe(1)
    const { final } = trace
    expect(final).toMatchObject({ waiting: 0, running: 0, displaced: 0 })
    expect(final.finished + final.failed + final.aborted).toBe(final.added)
    // It was a story worth telling.
    expect(Math.min(final.preempted / 15, final.recomputedTokens / 100, final.failed / 100, final.aborted / 50, final.finished / 100)).toBeGreaterThanOrEqual(1)
  }, 60_000)
})
