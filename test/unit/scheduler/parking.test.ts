import { afterEach, describe, expect, it } from 'vitest'
import { baseAdapterSet, createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asToken, type Token } from '../../../src/domain/ids.ts'
import { type CachedText, ParkedCaches } from '../../../src/scheduler/parked-caches.ts'
import type { WorkOutcome } from '../../../src/scheduler/plan.ts'
import type { SchedulerConfig } from '../../../src/scheduler/scheduler-types.ts'
import { Sequence } from '../../../src/scheduler/sequence.ts'
import { id, Rig, text, type Step } from './rig.ts'

/** What a plan does with caches: `b 150+10 (saves 1) (restores 2)`. */
const story = ({ plan }: Step): string[] => plan.work.map(({ sequence, keep, tokens, park, restore }) =>
  `${sequence} ${keep}+${tokens.length}${park === undefined ? '' : ` (saves ${park})`}${restore === undefined ? '' : ` (restores ${restore})`}`)

describe('a cache whose slot is given away', () => {
  let rig: Rig
  const create = (config: Partial<SchedulerConfig> = {}): void => {
    rig = new Rig({ slotsPerLane: 1, contextSize: 1024, stepTokens: 512, parkBytes: 1_000_000, ...config })
  }
  /** One answer of one token. */
  const ask = async (name: string, seed: number, length = 200, lane = 0): Promise<string[]> => {
    rig.add(name, text(seed, length), { maxTokens: 1 })
    return story(await rig.step(lane))
  }

  afterEach(() => { expect(rig.engine.violations).toEqual([]) })

  it('is saved, and restored when somebody wants it again', async () => {
    create()
    expect(await ask('a', 1)).toEqual(['a 0+200'])
    expect(await ask('b', 2)).toEqual(['b 0+200 (saves 1)'])
    expect(await ask('c', 1, 400)).toEqual(['c 200+200 (saves 2) (restores 1)'])
    expect(await ask('d', 2)).toEqual(['d 199+1 (saves 3) (restores 2)'])
    expect(rig.scheduler.snapshot()).toMatchObject({ cachesParked: 3, cachesRestored: 2, restoredTokens: 399, promptTokens: 200 + 200 + 200 + 1 })
  })

  it('is restored in another lane', async () => {
    create({ laneCount: 2, threads: 2 })
    await ask('a', 1)
    rig.add('b', text(2, 200), { maxTokens: 40 })
    await rig.step()
    rig.add('c', text(1, 210), { maxTokens: 1 })
    expect(story(await rig.step(1))).toEqual(['c 200+10 (restores 1)'])
  })

  it('is not saved without a budget, when it is short, or when it is saved or held elsewhere already', async () => {
    create({ parkBytes: 0 })
    await ask('a', 1)
    expect(await ask('b', 2)).toEqual(['b 0+200'])

    create()
    await ask('a', 1, 127)
    expect(await ask('b', 2)).toEqual(['b 0+200'])
    expect(await ask('c', 1, 150)).toEqual(['c 0+150 (saves 1)'])
    // Little of this one is not in the one that was saved.
    await ask('d', 2, 220)
    expect(await ask('e', 3)).toEqual(['e 0+200'])

    create({ slotsPerLane: 2 })
    rig.add('long', text(1, 300), { maxTokens: 100 })
    await rig.step()
    rig.add('like it', text(1, 290), { maxTokens: 1 })
    await rig.step()
    rig.add('other', text(2, 100), { maxTokens: 1 })
    expect(story(await rig.step()).at(-1)).toBe('other 0+100')
  })

  it('is dropped, the least recently used first, when others need the bytes', async () => {
    create({ parkBytes: 2 * 200 * 1024 })
    for (const [index, name] of ['a', 'b', 'c'].entries()) await ask(name, index + 1)
    // The first one is used again, so the second one goes. The third one's save ends after the plan that restores.
    expect(await ask('a again', 1, 210)).toEqual(['a again 200+10 (saves 3) (restores 1)'])
    rig.add('d', text(9, 20), { maxTokens: 1 })
    expect((await rig.step()).plan.dropped).toEqual([2])
    expect(rig.scheduler.snapshot()).toMatchObject({ parkedCaches: 2, cachesEvicted: 1 })
    expect(rig.scheduler.snapshot().parkedBytes).toBeLessThanOrEqual(2 * 210 * 1024)
  })

  it('takes the place of what it begins with', async () => {
    create()
    await ask('a', 1)
    await ask('b', 2)
    await ask('c', 1, 400)
    const { plan } = await (async () => { rig.add('d', text(3, 200), { maxTokens: 1 }); return await rig.step() })()
    expect(plan.work[0]?.park).toBe(3)
    rig.add('e', text(4, 20), { maxTokens: 1 })
    expect((await rig.step()).plan.dropped).toEqual([1])
  })

  it('belongs to its adapter set', async () => {
    create()
    const adapters = createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }])
    await rig.engine.loadAdapter('poet#1' as never, { path: import.meta.filename }, new AbortController().signal)
    await ask('a', 1)
    await ask('b', 2)
    rig.add('poet', text(1, 200), { adapters, maxTokens: 1 })
    expect(story(await rig.step())).toEqual(['poet 0+200 (saves 2)'])
  })

  it('is restored once by a crowd, and copied by the others', async () => {
    create({ slotsPerLane: 3 })
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) rig.add(name, text(index + 1, 200), { maxTokens: 1 })
    while (rig.scheduler.snapshot().finished < 4) await rig.step()
    // `b` was beside `c`, which was still running when `d` was given a slot.
    for (const name of ['x', 'y', 'z']) rig.add(name, text(2, 250), { maxTokens: 3 })
    const [first, second] = [await rig.step(), await rig.step()]
    expect(first.plan.work.filter(({ restore }) => restore !== undefined).map(({ sequence }) => sequence)).toEqual(['x'])
    expect(second.plan.work.map(({ sequence, copyFrom, keep }) => [sequence, copyFrom === undefined ? null : 'copy', keep])).toEqual([
      ['x', null, 250], ['y', 'copy', 249], ['z', 'copy', 249]
    ])
  })

  it('is computed again when it is lost, and not restored another time', async () => {
    create()
    await ask('a', 1)
    await ask('b', 2)
    rig.add('c', text(1, 220), { maxTokens: 1 })
    const plan = rig.plan()
    expect(plan.work[0]).toMatchObject({ restore: 1, keep: 200 })
    const events = rig.scheduler.commit(plan, [{ slot: plan.work[0]!.slot, isCacheLost: true }], rig.now)
    expect(events).toEqual([])
    const again = rig.plan()
    expect(again.work[0]).toMatchObject({ sequence: 'c', keep: 0 })
    expect(again.work[0]!.tokens).toHaveLength(220)
    expect(again.dropped).toEqual([2, 1])
    rig.scheduler.commit(again, [{ slot: again.work[0]!.slot, token: asToken(5) }], rig.now)
    expect(rig.scheduler.snapshot()).toMatchObject({ promptTokens: 200 + 200 + 220, prefixHitTokens: 0, prefixQueriedTokens: 200 + 200 + 220 })
  })

  it.each([
    ['saved for one that lost its slot and waits for another', null, 1],
    ['not saved for one that was given up by then', 'abort', undefined],
    ['not saved for one that was finished by then', 'finish', undefined],
    ['not saved for one whose time was over by then', 'expire', undefined]
  ] as const)('and is short is %s', async (_, end, expected) => {
    create({ slotsPerLane: 2 })
    const adapters = createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }])
    await rig.engine.loadAdapter('poet#1' as never, { path: import.meta.filename }, new AbortController().signal)
    rig.add('batch', text(1, 60), { priority: 'batch', maxTokens: 100, deadline: 5 })
    rig.add('poet', text(2, 20), { adapters, maxTokens: 100 })
    const first: string[] = []
    while (!first.includes('batch') || first.at(-1) !== 'poet') first.push((await rig.step()).plan.work[0]!.sequence)
    rig.add('chat', text(3, 70), { priority: 'interactive', maxTokens: 1 })
    // The slot is taken while it is the turn of other adapters, so that its cache is still there.
    const { plan } = await rig.step()
    expect(plan.preempted).toEqual(['batch'])
    expect(plan.work.map(({ sequence }) => sequence)).toEqual(['poet'])
    if (end === 'expire') rig.scheduler.expire(5)
    else if (end !== null) rig.scheduler[end](id('batch'))
    let saved: number | undefined
    for (let isServed = false; !isServed;) {
      for (const { sequence, park } of (await rig.step()).plan.work) if (sequence === 'chat') [isServed, saved] = [true, park]
    }
    expect(saved).toBe(expected)
  })

  it('is not saved while it would hold up running streams for long', async () => {
    create({ slotsPerLane: 2, targetItlMs: 50 })
    /** Steps with saves that take half a millisecond per token. */
    const slowly = async (): Promise<Step> => {
      const plan = rig.plan()
      const outcomes = await rig.engine.step(plan)
      const slow = outcomes.map((outcome): WorkOutcome =>
        'parked' in outcome && outcome.parked !== undefined ? { ...outcome, parked: { ...outcome.parked, durationMs: 100 } } : outcome)
      return { plan, events: rig.scheduler.commit(plan, slow, rig.now) }
    }
    rig.add('stream', text(9, 10), { maxTokens: 500 })
    await slowly()
    for (const [index, saves] of [[1, []], [2, [1]], [3, []]] as const) {
      rig.add(`s${index}`, text(index, 200), { maxTokens: 1 })
      const steps: Step[] = []
      while (steps.length === 0 || rig.scheduler.snapshot().running > 1) steps.push(await slowly())
      expect(steps.flatMap(({ plan }) => plan.work.flatMap(({ park }) => park ?? []))).toEqual(saves)
    }
  })

  it.each([
    // Between the two the stream has a step of its own.
    ['one after the other where each takes long', 100, [['b'], [], ['c']]],
    ['together where they do not', 10, [['b', 'c'], [], []]]
  ] as const)('is restored beside running streams %s', async (_, restoredInMs, expected) => {
    create({ slotsPerLane: 3, targetItlMs: 50, parkBytes: 10_000_000 })
    const step = async (): Promise<string[]> => {
      const plan = rig.plan()
      const outcomes = await rig.engine.step(plan)
      rig.scheduler.commit(plan, outcomes.map((outcome): WorkOutcome => 'restoredInMs' in outcome ? { ...outcome, restoredInMs } : outcome), rig.now)
      return plan.work.flatMap(({ sequence, restore }) => restore === undefined ? [] : sequence)
    }
    const finish = async (): Promise<void> => { while (rig.scheduler.snapshot().running + rig.scheduler.snapshot().waiting > 0) await step() }
    for (const seed of [1, 2, 3, 11, 12, 13, 14, 15]) rig.add(`s${seed}`, text(seed, 200), { maxTokens: 1 })
    await finish()
    // From this one it is known how long it takes.
    rig.add('a', text(1, 210), { maxTokens: 1 })
    expect(await step()).toEqual(['a'])
    rig.add('stream', text(9, 10), { maxTokens: 100 })
    for (let steps = 0; steps < 3; steps++) await step()
    // The whole of it is there but the last token, or it has a question of its own.
    rig.add('b', text(2, 200), { maxTokens: 4 })
    rig.add('c', [...text(3, 200), ...text(8, 5)], { maxTokens: 4 })
    expect([await step(), await step(), await step()]).toEqual(expected)
  })
})

describe('many saved caches of texts that begin alike', () => {
  it('are told apart without reading the beginning of each', () => {
    let reads = 0
    const counted = (tokens: Token[]): readonly Token[] => new Proxy(tokens, {
      get: (target, member, receiver): unknown => {
        if (typeof member === 'string' && /^\d/.test(member)) reads++
        return Reflect.get(target, member, receiver)
      }
    })
    const parked = new ParkedCaches(1e9)
    const save = (own: number): void => {
      const tokens = counted([...text(1, 1000), ...Array.from({ length: 200 }, () => asToken(own))])
      const cache = parked.park({ tokens, length: tokens.length, adaptersKey: baseAdapterSet.key }, () => 0, Infinity, 0)
      parked.settle(cache!, { bytes: 1000, durationMs: 1 })
    }
    for (let own = 0; own < 50; own++) save(own)
    reads = 0
    save(50)
    // Once to keep it, and a few of each other.
    expect(reads).toBeLessThan(1200 + 50 * 5)
    expect(parked.snapshot()).toMatchObject({ parkedCaches: 51 })
  })
})

describe('the cache of a sequence that lost its slot again', () => {
  const wantedBy = new Rig().sequence('batch', text(1, 200))
  /** Saves its first tokens in a millisecond for each ten; then says whether a few more are worth it. */
  const savesAgain = (more: number, promptTokenMs: number, isWanted = true): boolean => {
    const parked = new ParkedCaches(1e9)
    const of = (tokens: number): CachedText => ({
      tokens: text(1, 200), length: tokens, adaptersKey: baseAdapterSet.key, wantedBy: isWanted ? new Sequence(wantedBy, 0) : null
    })
    const length = isWanted ? 100 : 150
    parked.settle(parked.park(of(length), () => 0, Infinity, promptTokenMs)!, { bytes: 1000, durationMs: length / 10 })
    return parked.park(of(length + more), () => 0, Infinity, promptTokenMs) !== null
  }

  it.each([
    // Saving 105 tokens takes 10.5 ms, and computing 5 of them 25: more than twice as long.
    [5, 5, true],
    [4, 5, false],
    [1, 50, true],
    // It is there already.
    [0, 50, false],
    // Computing is fast, or nobody knows.
    [31, 0.01, false],
    [32, 0.01, true],
    [31, 0, false]
  ])('is saved again with %i tokens more, each computed in %f ms: %s', (more, promptTokenMs, expected) => {
    expect(savesAgain(more, promptTokenMs)).toBe(expected)
  })

  it('is worth more than one that nobody is certain to come back for', () => {
    expect(savesAgain(20, 50, false)).toBe(false)
  })
})
