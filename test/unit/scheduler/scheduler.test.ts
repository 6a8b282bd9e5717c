import { afterEach, describe, expect, it } from 'vitest'
import { createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asTenantId } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import type { StepPlan } from '../../../src/scheduler/plan.ts'
import type { NewSequence } from '../../../src/scheduler/scheduler-types.ts'
import { id, Rig, summary, text } from './rig.ts'

describe('Scheduler', () => {
  let rig: Rig
  const create = (...parameters: ConstructorParameters<typeof Rig>): Rig => {
    rig = new Rig(...parameters)
    return rig
  }

  afterEach(() => { expect(rig.engine.violations).toEqual([]) })

  it('reads a prompt in one step, then draws one token per step until the limit', async () => {
    create()
    rig.add('a', text(1, 20), { maxTokens: 3 })
    const first = await rig.step()
    expect(summary(first.plan)).toEqual(['a 0+20*'])
    expect(first.events.map((event) => event.type)).toEqual(['sequence-started', 'token-drawn'])
    expect(summary((await rig.step()).plan)).toEqual(['a 20+1*'])
    const last = await rig.step()
    expect(summary(last.plan)).toEqual(['a 21+1*'])
    expect(last.events.at(-1)).toEqual({ type: 'sequence-finished', id: 'a', reason: 'length', drawnTokens: 3 })
    expect(rig.isIdle()).toBe(true)
  })

  it('cuts a long prompt into chunks of the budget', async () => {
    create({ stepTokens: 64 })
    rig.add('a', text(1, 150))
    const plans = []
    for (let step = 0; step < 4; step++) plans.push(summary((await rig.step()).plan))
    expect(plans).toEqual([['a 0+64'], ['a 64+64'], ['a 128+22*'], ['a 150+1*']])
  })

  it('decodes first and gives prompts the rest of the budget', async () => {
    create({ stepTokens: 64 })
    rig.add('a', text(1, 10))
    await rig.step()
    // Prompts of others than batch work have steps of their own, and so has batch work while others may come.
    rig.now += 10_000
    rig.add('b', text(2, 100), { priority: 'batch' })
    expect(summary((await rig.step()).plan)).toEqual(['a 10+1*', 'b 0+63'])
    expect(summary((await rig.step()).plan)).toEqual(['a 11+1*', 'b 63+37*'])
  })

  it('serves in order of arrival, as slots become free', async () => {
    create({ slotsPerLane: 1 })
    for (const [index, name] of ['a', 'b', 'c'].entries()) rig.add(name, text(index, 10), { maxTokens: 1 })
    const order = []
    for (let step = 0; step < 3; step++) order.push((await rig.step()).plan.work[0]!.sequence)
    expect(order).toEqual(['a', 'b', 'c'])
  })

  it('says how many tokens of a prompt were cached, and computes only the others', async () => {
    create({ slotsPerLane: 1 })
    rig.add('a', text(1, 50), { maxTokens: 1 })
    await rig.step()
    rig.add('b', [...text(1, 50), ...text(2, 10)], { maxTokens: 1 })
    const { plan, events } = await rig.step()
    expect(summary(plan)).toEqual(['b 50+10*'])
    expect(events[0]).toMatchObject({ type: 'sequence-started', cachedTokens: 50 })
  })

  it('computes the last prompt token again even if all of it is cached', async () => {
    create({ slotsPerLane: 1 })
    for (const name of ['a', 'b']) rig.add(name, text(1, 50), { maxTokens: 1 })
    await rig.step()
    expect(summary((await rig.step()).plan)).toEqual(['b 49+1*'])
  })

  it('copies a running sequence’s prompt', async () => {
    create()
    rig.add('a', text(1, 50))
    await rig.step()
    rig.add('b', [...text(1, 50), ...text(2, 5)])
    expect(summary((await rig.step()).plan)).toEqual(['b (copy of 0) 50+5*'])
    expect(summary((await rig.step()).plan)).toEqual(['a 50+1*', 'b 55+1*'])
  })

  it('reuses nothing across adapter sets, generations and scales', async () => {
    create({ slotsPerLane: 1 })
    const set = (generation: number, scale: number) => createAdapterSet([{ name: 'poet', generation, scale }])
    const { signal } = new AbortController()
    for (const key of ['poet#1', 'poet#2']) {
      await rig.engine.loadAdapter(key as never, { path: import.meta.filename }, signal)
    }
    for (const [name, adapters] of [['a', set(1, 1)], ['b', set(2, 1)], ['c', set(2, 0.5)], ['d', set(2, 0.5)]] as const) {
      rig.add(name, text(1, 50), { adapters, maxTokens: 1 })
    }
    const plans = []
    for (let step = 0; step < 4; step++) plans.push(...summary((await rig.step()).plan))
    expect(plans).toEqual(['a 0+50*', 'b 0+50*', 'c 0+50*', 'd 49+1*'])
  })

  it('prefills the prompt of several choices once', async () => {
    create({ slotsPerLane: 4 })
    rig.add('a', text(1, 50))
    for (const name of ['b', 'c']) rig.add(name, text(1, 50), { sharesPromptWith: id('a') })
    expect(summary((await rig.step()).plan)).toEqual(['a 0+50*'])
    expect(summary((await rig.step()).plan)).toEqual(['a 50+1*', 'b (copy of 0) 49+1*', 'c (copy of 0) 49+1*'])
    expect(rig.scheduler.snapshot()).toMatchObject({ promptTokens: 52, prefixHitTokens: 98 })
  })

  it('lets choices run on their own when the first one is gone', async () => {
    create({ slotsPerLane: 4, stepTokens: 16 })
    rig.add('a', text(1, 50))
    rig.add('b', text(1, 50), { sharesPromptWith: id('a') })
    await rig.step()
    rig.scheduler.abort(id('a'))
    // What was read for the first one is still there.
    expect(summary((await rig.step()).plan)).toEqual(['b 16+16'])
  })

  it('refuses more than the queue holds, by code', () => {
    create({ maxQueue: 2, slotsPerLane: 1 })
    // The first one does not wait: a slot is free.
    for (const [index, name] of ['a', 'b', 'c'].entries()) rig.add(name, text(index + 1, 5))
    expect(() => { rig.add('d', text(4, 5)) }).toThrowError(expect.objectContaining({ code: 'queue_full' }))
    rig.scheduler.abort(id('a'))
    rig.add('d', text(4, 5))
  })

  it('takes all choices of a request or none, and counts those that it takes', () => {
    create({ maxQueue: 2, slotsPerLane: 1 })
    const choices = (name: string, count: number): NewSequence[] =>
      Array.from({ length: count }, (_, index) => rig.sequence(`${name}${index}`, text(1, 5)))
    expect(() => { rig.scheduler.addAll(choices('a', 4), 0) }).toThrowError(expect.objectContaining({
      code: 'queue_full', message: '0 requests are waiting and this one asks for 4 choices; the limit is 2'
    }))
    rig.scheduler.addAll(choices('b', 3), 0)
    expect(rig.scheduler.snapshot()).toMatchObject({ waiting: 3, added: 3, aborted: 0 })
  })

  it('pushes out as many of a longer line as a request has choices, and tells', () => {
    create({ maxQueue: 4, slotsPerLane: 1 })
    for (const [index, name] of ['a', 'b', 'c', 'd', 'e'].entries()) rig.add(name, text(index + 1, 5))
    // The first one has a slot with the next plan; the others wait.
    const choices = ['x', 'y'].map((name) => rig.sequence(name, text(9, 5), { tenant: asTenantId('colleague') }))
    const events = rig.scheduler.addAll(choices, 0)
    expect(events).toEqual([
      { type: 'sequence-failed', id: id('e'), error: expect.objectContaining({ code: 'queue_full' }) },
      { type: 'sequence-failed', id: id('d'), error: expect.objectContaining({ code: 'queue_full' }) }
    ])
    expect(rig.scheduler.snapshot()).toMatchObject({ waiting: 5, failed: 2, added: 7 })
    // Now both lines are about as long, and nobody is pushed out for one more.
    const more = ['z', 'w'].map((name) => rig.sequence(name, text(8, 5), { tenant: asTenantId('colleague') }))
    expect(() => rig.scheduler.addAll(more, 0)).toThrowError(expect.objectContaining({ code: 'queue_full' }))
    expect(rig.scheduler.snapshot()).toMatchObject({ waiting: 5, failed: 2, added: 7 })
  })

  it('refuses a prompt that leaves no room for a token', () => {
    create({ contextSize: 32 })
    rig.add('a', text(1, 31))
    expect(() => { rig.add('b', text(1, 32)) }).toThrowError(expect.objectContaining({ code: 'context_length_exceeded' }))
  })

  it('ends with `length` when the slot is full', async () => {
    create({ contextSize: 32 })
    rig.add('a', text(1, 30), { maxTokens: null })
    await rig.step()
    const { events } = await rig.step()
    expect(events.at(-1)).toEqual({ type: 'sequence-finished', id: 'a', reason: 'length', drawnTokens: 2 })
  })

  it('ends at an end token without telling it, unless it is to be ignored', async () => {
    create()
    const logitBias: [number, number][] = [[rig.engine.info.endTokens[0]!, 100]]
    rig.add('a', text(1, 5), { sampling: { ...greedySampling, logitBias } })
    rig.add('b', text(1, 5), { sampling: { ...greedySampling, logitBias, ignoreEos: true } })
    const events = (await rig.step()).events.filter((event) => event.id === 'a')
    expect(events.map((event) => event.type)).toEqual(['sequence-started', 'sequence-finished'])
    expect(events.at(-1)).toEqual({ type: 'sequence-finished', id: 'a', reason: 'stop', drawnTokens: 1 })
    expect(rig.scheduler.snapshot()).toMatchObject({ running: 1 })
  })

  it('is silent about a sequence aborted during a step, and gives its slot to the next plan', async () => {
    create({ slotsPerLane: 1 })
    rig.add('a', text(1, 10))
    rig.add('b', text(2, 10))
    const plan = rig.plan()
    rig.scheduler.abort(id('a'))
    expect((await rig.carryOut(plan)).events).toEqual([])
    const next = await rig.step()
    expect(next.plan.work[0]).toMatchObject({ sequence: 'b', slot: 0 })
    expect(next.plan.released).toEqual(['a'])
  })

  it('lets others reuse what an aborted sequence had read', async () => {
    create({ slotsPerLane: 1 })
    rig.add('a', text(1, 50))
    await rig.step()
    rig.scheduler.abort(id('a'))
    rig.add('b', text(1, 60))
    expect(summary((await rig.step()).plan)).toEqual(['b 50+10*'])
  })

  it('forgets aborts of the unknown and of the ended', () => {
    create()
    rig.scheduler.abort(id('nobody'))
    rig.add('a', text(1, 5))
    rig.scheduler.abort(id('a'))
    rig.scheduler.abort(id('a'))
    expect(rig.scheduler.snapshot()).toMatchObject({ aborted: 1, waiting: 0, running: 0 })
  })

  it('fails one sequence for its slot’s error, reuses nothing of the slot, and goes on with the others', async () => {
    create({}, new Map([[2, 'fail']]))
    for (const name of ['a', 'b']) rig.add(name, text(1, 10))
    await rig.step()
    const { events } = await rig.step()
    expect(events).toMatchObject([
      { type: 'sequence-failed', id: 'a', error: { code: 'engine_error' } },
      { type: 'token-drawn', id: 'b' }
    ])
    rig.scheduler.abort(id('b'))
    rig.add('c', text(1, 10))
    rig.add('d', text(1, 10))
    expect(summary((await rig.step()).plan)).toEqual(['c 9+1*', 'd 0+10*'])
  })

  it('fails all sequences of a lost step and serves the next from scratch', async () => {
    create({}, new Map([[1, 'reject']]))
    for (const name of ['a', 'b']) rig.add(name, text(1, 10))
    const { events } = await rig.step()
    expect(events.map((event) => [event.type, event.id])).toEqual([['sequence-failed', 'a'], ['sequence-failed', 'b']])
    rig.add('c', text(1, 10))
    expect(summary((await rig.step()).plan)).toEqual(['c 0+10*'])
  })

  it('ends what waits or runs too long', async () => {
    create({ slotsPerLane: 1 })
    rig.add('a', text(1, 10), { deadline: 100 })
    rig.add('b', text(2, 10), { queueDeadline: 50 })
    await rig.step()
    rig.now = 49
    expect(rig.scheduler.expire(rig.now)).toEqual([])
    rig.now = 50
    expect(rig.scheduler.expire(rig.now)).toMatchObject([{ type: 'sequence-failed', id: 'b', error: { code: 'queue_timeout' } }])
    rig.now = 100
    expect(rig.scheduler.expire(rig.now)).toMatchObject([{ type: 'sequence-failed', id: 'a', error: { code: 'generation_timeout' } }])
    expect(rig.isIdle()).toBe(true)
  })

  it('lets choices wait as long as their request may take, once the first of them has begun', async () => {
    create({ slotsPerLane: 1 })
    const times = { queueDeadline: 50, deadline: 90 }
    rig.add('first', text(1, 10), { ...times, maxTokens: 100 })
    rig.add('second', text(1, 10), { ...times, sharesPromptWith: id('first') })
    await rig.step()
    expect(rig.scheduler.expire(60)).toEqual([])
    expect(rig.scheduler.expire(90)).toMatchObject([
      { type: 'sequence-failed', id: 'second', error: { code: 'generation_timeout' } },
      { type: 'sequence-failed', id: 'first', error: { code: 'generation_timeout' } }
    ])
  })

  const loadAdapter = async (name: string) => {
    await rig.engine.loadAdapter(`${name}#1` as never, { path: import.meta.filename }, new AbortController().signal)
    return createAdapterSet([{ name, generation: 1, scale: 1 }])
  }
  const placesOf = (plans: readonly StepPlan[]) => plans.map((plan) => plan.work.map(({ sequence, slot }) => [sequence, slot]))

  it('puts what is of one kind into one lane, which has all threads', () => {
    create({ laneCount: 2, threads: 3 })
    rig.add('a', text(1, 10))
    rig.add('b', text(2, 10))
    const plan = rig.plan(0)
    expect(placesOf([plan])).toEqual([[['a', 0], ['b', 1]]])
    expect(plan.threads).toBe(3)
    expect(rig.isIdle(1)).toBe(true)
  })

  it('gives each adapter set a lane of its own, and shares out the threads', async () => {
    create({ laneCount: 2, threads: 3 })
    rig.add('a', text(1, 10))
    rig.add('b', text(2, 10), { adapters: await loadAdapter('poet') })
    rig.add('c', text(3, 10))
    const plans = [rig.plan(0), rig.plan(1)]
    expect(placesOf(plans)).toEqual([[['a', 0], ['c', 1]], [['b', 2]]])
    expect(plans.map(({ threads }) => threads)).toEqual([2, 1])
  })

  it('spreads sequences where lanes do not share the cores', () => {
    create({ laneCount: 2, threads: 3, lanesAreApart: true })
    rig.add('a', text(1, 10))
    const alone = rig.plan(0)
    rig.add('b', text(2, 10))
    const beside = rig.plan(1)
    expect(placesOf([alone, beside])).toEqual([[['a', 0]], [['b', 2]]])
    expect([alone.threads, beside.threads]).toEqual([2, 1])
  })

  it('waits for threads that another lane’s step has, and says so', async () => {
    create({ laneCount: 2, threads: 3 })
    rig.add('a', text(1, 10))
    const alone = rig.plan(0)
    expect(alone.threads).toBe(3)
    rig.add('b', text(2, 10), { adapters: await loadAdapter('poet') })
    expect(rig.scheduler.isLaneWaiting).toBe(false)
    expect(rig.isIdle(1)).toBe(true)
    expect(rig.scheduler.isLaneWaiting).toBe(true)
    await rig.carryOut(alone)
    const plans = [rig.plan(1), rig.plan(0)]
    expect(plans.map(({ threads }) => threads)).toEqual([1, 2])
    expect(rig.scheduler.isLaneWaiting).toBe(false)
    for (const plan of plans) await rig.carryOut(plan)
    rig.scheduler.abort(id('b'))
    expect(rig.plan(0).threads).toBe(3)
  })

  it('waits for no threads any more when what it had to do has ended', async () => {
    create({ laneCount: 2, threads: 3 })
    rig.add('a', text(1, 10))
    rig.plan(0)
    rig.add('b', text(2, 10), { adapters: await loadAdapter('poet') })
    expect(rig.isIdle(1)).toBe(true)
    rig.scheduler.abort(id('b'))
    expect(rig.isIdle(1)).toBe(true)
    expect(rig.scheduler.isLaneWaiting).toBe(false)
  })

  it('keeps a long prompt away from a lane with streams', async () => {
    create({ laneCount: 2, contextSize: 2048 })
    rig.add('a', text(1, 10), { maxTokens: 100 })
    await rig.step(0)
    rig.add('short', text(2, 100))
    rig.add('long', text(3, 1500))
    const plans = [rig.plan(0), rig.plan(1)]
    expect(placesOf(plans)).toEqual([[['short', 1]], [['long', 2]]])
    for (const plan of plans) await rig.carryOut(plan)
    rig.scheduler.abort(id('short'))
    expect(placesOf([rig.plan(0)])).toEqual([[['a', 0]]])
  })

  it('goes to the lane that has most of the prompt', async () => {
    create({ laneCount: 2, slotsPerLane: 1 })
    rig.add('a', text(1, 100), { maxTokens: 1 })
    rig.add('b', text(2, 100), { maxTokens: 1 })
    for (const lane of [0, 1, 0, 1]) await rig.step(lane)
    rig.add('c', [...text(2, 100), ...text(3, 5)])
    expect(rig.isIdle(0)).toBe(true)
    expect(summary(rig.plan(1))).toEqual(['c 100+5*'])
  })

  it('gives adapter sets in one lane their turns', async () => {
    create({ turnSteps: 2 })
    const adapters = createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }])
    await rig.engine.loadAdapter('poet#1' as never, { path: import.meta.filename }, new AbortController().signal)
    rig.add('a', text(1, 10))
    rig.add('b', text(1, 10), { adapters })
    const order = []
    for (let step = 0; step < 8; step++) order.push(...(await rig.step()).plan.work.map((work) => work.sequence))
    expect(order.join('')).toBe('aabbaabb')
    expect(rig.scheduler.snapshot().adapterSwitches).toBe(3)
  })

  it('does not let newcomers’ adapter sets go before one that waits already', async () => {
    create({ turnSteps: 1, slotsPerLane: 3 })
    const { signal } = new AbortController()
    const set = async (name: string) => {
      await rig.engine.loadAdapter(`${name}#1` as never, { path: import.meta.filename }, signal)
      return createAdapterSet([{ name, generation: 1, scale: 1 }])
    }
    rig.add('old', text(1, 10))
    await rig.step()
    const order = []
    for (let round = 0; round < 6; round++) {
      rig.add(`new-${round}`, text(2, 10), { adapters: await set(`adapter-${round}`), maxTokens: 1 })
      order.push((await rig.step()).plan.work[0]!.sequence)
    }
    expect(order).toEqual(['new-0', 'old', 'new-1', 'old', 'new-2', 'new-3'])
  })

  describe('with a line of several adapter sets', () => {
    /** One slot runs the base model all the time; the other one is for those of the line, one after the other. */
    const admissions = async (line: readonly (readonly [name: string, options: Partial<NewSequence>])[], count: number): Promise<string> => {
      rig.add('stream', text(1, 10), { maxTokens: 200 })
      rig.add('first', text(2, 10), { maxTokens: 1 })
      await rig.step()
      for (const [index, [name, options]] of line.entries()) rig.add(`${name}${index}`, text(index + 3, 10), { maxTokens: 1, ...options })
      const begun: string[] = []
      for (let step = 0; begun.length < count && step < 1000; step++) {
        for (const { sequence } of (await rig.step()).plan.work) if (sequence !== 'stream' && !begun.includes(sequence)) begun.push(sequence)
      }
      return begun.map((name) => name[0]).join('')
    }

    it('lets those go first whose adapters run already, but only a few', async () => {
      create({ turnSteps: 1 })
      const adapters = await loadAdapter('poet')
      const line = Array.from({ length: 20 }, (_, index) => index === 0 ? ['poet', { adapters }] as const : ['base', {}] as const)
      expect(await admissions(line, 20)).toBe('bbbbbbbbpbbbbbbbbbbb')
    })

    it('does so between tenants that had about the same service', async () => {
      create({ turnSteps: 1 })
      const adapters = await loadAdapter('poet')
      const tenant = asTenantId('other')
      expect(await admissions([['poet', { adapters }], ['base', { tenant }], ['base', {}]], 3)).toBe('bbp')
    })

    it('does not let anybody go before a more urgent one', async () => {
      create({ turnSteps: 1 })
      const adapters = await loadAdapter('poet')
      expect(await admissions([['poet', { adapters, priority: 'interactive' }], ['base', {}]], 2)).toBe('pb')
    })
  })

  it('refuses a config that cannot work', () => {
    create()
    expect(() => new Rig({ stepTokens: 1, slotsPerLane: 2 })).toThrow(RangeError)
    expect(() => new Rig({ laneCount: 2, threads: 1 })).toThrow(RangeError)
  })
})
