import { describe, expect, it } from 'vitest'
import { ThreadCount } from '../../../src/scheduler/policies/thread-count.ts'
import { Rig, summary, text } from './rig.ts'

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

describe('a lane that tries another number of threads', () => {
  /** Decodes until the next step is part of a trial; each step takes 10 ms. */
  async function startTrial (rig: Rig): Promise<void> {
    rig.add('stream', text(1, 10), { maxTokens: 100 })
    for (let step = 0; step < 4; step++) await stepFor(rig, 10)
  }

  async function stepFor (rig: Rig, durationMs: number): Promise<{ readonly threads: number, readonly work: readonly string[] }> {
    const plan = rig.plan()
    rig.now += durationMs
    await rig.carryOut(plan)
    return { threads: plan.threads, work: summary(plan) }
  }

  it('reads prompts with the number that it knows, for as long as that takes', async () => {
    const rig = new Rig({ threads: 4, contextSize: 512 })
    await startTrial(rig)
    rig.add('prompt', text(2, 200), { maxTokens: 3 })
    const steps = []
    for (let step = 0; step < 7; step++) steps.push(await stepFor(rig, 10))
    const reading = steps.filter(({ work }) => work.some((line) => /^prompt \d+\+\d\d/.test(line)))
    expect(reading.length).toBeGreaterThan(2)
    expect(reading.map(({ threads }) => threads)).toEqual(reading.map(() => 4))
    expect(steps.map(({ threads }) => threads)).toContain(2)
  })

  it('does not take what a failed trial costs for what tokens take', async () => {
    const rig = new Rig({ threads: 4, contextSize: 4096, stepTokens: 2048 })
    rig.add('first', text(3, 200), { maxTokens: 1 })
    await stepFor(rig, 200)
    await startTrial(rig)
    expect((await stepFor(rig, 4000)).threads).toBe(2)
    rig.add('prompt', text(2, 2010))
    expect((await stepFor(rig, 100)).work).toEqual(['prompt 0+90'])
    expect((await stepFor(rig, 10)).work).toEqual(['stream 14+1*'])
  })
})
