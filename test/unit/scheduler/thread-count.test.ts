import { describe, expect, it } from 'vitest'
import { ThreadCount } from '../../../src/scheduler/policies/thread-count.ts'

/** What a step takes with so many threads and sequences, at a time. */
type Machine = (threads: number, decodes: number, now: number) => number

interface Load {
  readonly from?: number
  readonly decodes?: () => number
  readonly promptTokens?: () => number
}

/** Steps until the time is over; how many steps each number of threads had, and how long they took. */
function run (
  count: ThreadCount, machine: Machine, untilMs: number, { from = 0, decodes = () => 8, promptTokens = () => 0 }: Load = {}
): Map<number, { steps: number, ms: number }> {
  const used = new Map<number, { steps: number, ms: number }>()
  let now = from
  while (now < untilMs) {
    const { threads } = count
    const sequences = decodes()
    const durationMs = machine(threads, sequences, now)
    now += durationMs
    const entry = used.get(threads) ?? { steps: 0, ms: 0 }
    used.set(threads, { steps: entry.steps + 1, ms: entry.ms + durationMs })
    count.learn({ decodes: sequences, promptTokens: promptTokens(), durationMs }, now)
  }
  return used
}

/** With a core for every thread. */
const free: Machine = (threads, decodes) => 2 + 8 * decodes / threads / 8
/** Another program has one of four cores. */
const crowded: Machine = (threads, decodes) => threads === 4 ? 400 : free(threads, decodes, 0)

describe('ThreadCount', () => {
  it('begins with all, and stays with them as long as they are fastest', () => {
    const count = new ThreadCount(4)
    const used = run(count, free, 60_000)
    expect(count.threads).toBe(4)
    expect([...used.keys()].toSorted()).toEqual([2, 4])
    expect(used.get(2)!.ms / 60_000).toBeLessThan(0.02)
  })

  it('takes fewer when another program has the cores, and tries more again seldom', () => {
    const count = new ThreadCount(4)
    const used = run(count, crowded, 120_000)
    expect(count.threads).toBe(2)
    expect(used.get(2)!.ms / 120_000).toBeGreaterThan(0.95)
    // Once at the start, and then such that a hundredth of the time goes into it.
    expect(used.get(4)!.steps).toBeLessThanOrEqual(8)
  })

  it('comes back to all when the cores are free again', () => {
    const count = new ThreadCount(4)
    run(count, crowded, 10_000)
    expect(count.threads).toBe(2)
    run(count, free, 400_000, { from: 10_000 })
    expect(count.threads).toBe(4)
  })

  it('goes down to one where that is best', () => {
    const count = new ThreadCount(4)
    run(count, (threads) => threads * 10, 20_000)
    expect(count.threads).toBe(1)
  })

  it('does not take a change of the load for one of the machine', () => {
    const count = new ThreadCount(4)
    let step = 0
    // Whenever it tries another number, the load happens to be lighter.
    run(count, free, 60_000, { decodes: () => ++step % 40 < 20 ? 8 : 1 })
    expect(count.threads).toBe(4)
  })

  it('learns nothing from prompts, and has nothing to learn with one thread', () => {
    const count = new ThreadCount(4)
    expect([...run(count, crowded, 20_000, { promptTokens: () => 65 }).keys()]).toEqual([4])
    expect([...run(new ThreadCount(1), free, 10_000).keys()]).toEqual([1])
  })

  it('ignores a step that hangs by chance', () => {
    const count = new ThreadCount(4)
    let step = 0
    run(count, (threads, decodes, now) => ++step % 7 === 0 ? 50 : free(threads, decodes, now), 60_000)
    expect(count.threads).toBe(4)
  })
})
