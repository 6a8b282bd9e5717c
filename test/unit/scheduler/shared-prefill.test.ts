import { afterEach, describe, expect, it } from 'vitest'
import { createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asTenantId, asToken, type Token } from '../../../src/domain/ids.ts'
import type { FaultKind } from '../../../src/engine/fake/faults.ts'
import type { SchedulerConfig } from '../../../src/scheduler/scheduler-types.ts'
import { id, Rig, summary, text } from './rig.ts'

/** Tokens that begin with one of their own. */
const question = (number: number, length = 10): Token[] => [asToken(number), ...text(7, length - 1)]

describe('a prompt that several sequences share', () => {
  let rig: Rig
  const create = (config: Partial<SchedulerConfig> = {}, faults?: ReadonlyMap<number, FaultKind>): void => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 2048, stepTokens: 64, ...config }, faults)
  }
  const system = text(1, 150)
  const ask = (...numbers: readonly number[]): void => {
    for (const number of numbers) rig.add(`s${number}`, [...system, ...question(number)])
  }
  const plans = async (count: number): Promise<string[][]> => {
    const summaries: string[][] = []
    for (let step = 0; step < count; step++) summaries.push(summary((await rig.step()).plan))
    return summaries
  }
  /** Steps all lanes until nobody waits or runs. */
  const drain = async (): Promise<void> => {
    for (;;) {
      const { waiting, running, lanes } = rig.scheduler.snapshot()
      if (waiting === 0 && running === 0) return
      const begun = lanes.map(({ lane }) => rig.scheduler.schedule(lane, rig.now)).filter((plan) => plan !== null)
      expect(begun).not.toEqual([])
      for (const plan of begun) await rig.carryOut(plan)
    }
  }

  afterEach(() => { expect(rig.engine.violations).toEqual([]) })

  it('is read once; the others wait in their slots and copy it when it is there', async () => {
    create()
    ask(1, 2, 3)
    expect(await plans(5)).toEqual([
      ['s1 0+64'],
      ['s1 64+64'],
      ['s1 128+32*'],
      ['s2 (copy of 0) 150+10*', 's3 (copy of 0) 150+10*'],
      ['s1 160+1*', 's2 160+1*', 's3 160+1*']
    ])
    expect(rig.scheduler.snapshot()).toMatchObject({ promptTokens: 180, prefixHitTokens: 300, prefixQueriedTokens: 480 })
  })

  it.each([
    { laneCount: 1, slotsPerLane: 8 },
    { laneCount: 1, slotsPerLane: 32 },
    { laneCount: 2, slotsPerLane: 4 },
    { laneCount: 2, slotsPerLane: 16 }
  ])('is read once per lane by 32 sequences at once: $laneCount lanes of $slotsPerLane slots', async (config) => {
    create({ ...config, stepTokens: 512 })
    const prompt = text(1, 1000)
    for (let number = 0; number < 32; number++) rig.add(`s${number}`, [...prompt, ...question(number, 20)])
    await drain()
    expect(rig.scheduler.snapshot()).toMatchObject({ finished: 32, promptTokens: config.laneCount * 1000 + 32 * 20 })
  })

  it('is read once by sequences that come while it is being read', async () => {
    create()
    ask(1)
    await rig.step()
    ask(2)
    expect(await plans(4)).toEqual([
      ['s1 64+64'], ['s1 128+32*'], ['s2 (copy of 0) 150+10*'], ['s1 160+1*', 's2 160+1*']
    ])
  })

  it('is copied as soon as what is shared is there, though the leader has more to read', async () => {
    create()
    rig.add('long', [...system, ...question(1, 200)])
    ask(2)
    expect(await plans(7)).toEqual([
      // What is shared is there after the third step; prompts are read in order of arrival, the long one first.
      ['long 0+64'], ['long 64+64'], ['long 128+64'], ['long 192+64'], ['long 256+64'],
      ['long 320+30*', 's2 (copy of 0) 150+10*'],
      ['long 350+1*', 's2 160+1*']
    ])
  })

  it('is copied as far as it is there when the rest is not worth a wait', async () => {
    create()
    ask(1)
    await plans(2)
    ask(2)
    expect(await plans(2)).toEqual([['s1 128+32*', 's2 (copy of 0) 128+32*'], ['s1 160+1*', 's2 160+1*']])
  })

  it('is not waited for when little more is shared than is there already', async () => {
    create()
    const short = system.slice(0, 95)
    rig.add('a', [...short, ...question(1)])
    rig.add('b', [...short, ...question(2)])
    expect(await plans(2)).toEqual([['a 0+64'], ['a 64+41*', 'b 0+23']])
  })

  it('is not shared between adapter sets', async () => {
    create({ turnSteps: 1 })
    const adapters = createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }])
    await rig.engine.loadAdapter('poet#1' as never, { path: import.meta.filename }, new AbortController().signal)
    ask(1)
    rig.add('poet', [...system, ...question(2)], { adapters })
    expect(await plans(3)).toEqual([['s1 0+64'], ['poet 0+64'], ['s1 64+64']])
  })

  it('is read on by the next one when the leader leaves', async () => {
    create()
    for (const number of [1, 2, 3]) rig.add(`s${number}`, [...text(1, 200), ...question(number)])
    await plans(2)
    rig.scheduler.abort(id('s1'))
    // It moves to where the first 128 tokens are, and the third one waits for it.
    const { plan } = await rig.step()
    expect(summary(plan)).toEqual(['s2 128+64'])
    expect(plan.work[0]?.slot).toBe(0)
    expect(await plans(3)).toEqual([['s2 192+18*'], ['s3 (copy of 0) 200+10*'], ['s2 210+1*', 's3 210+1*']])
  })

  it('is read anew, once, when the leader’s slot fails', async () => {
    create({}, new Map([[2, 'reject']]))
    ask(1, 2, 3)
    expect(await plans(2)).toEqual([['s1 0+64'], ['s1 64+64']])
    expect(await plans(5)).toEqual([
      ['s2 0+64'], ['s2 64+64'], ['s2 128+32*'], ['s3 (copy of 1) 150+10*'], ['s2 160+1*', 's3 160+1*']
    ])
  })

  it('is not lost when the leader ends at once and all slots are wanted', async () => {
    create({ slotsPerLane: 2, stepTokens: 512 })
    rig.add('s1', [...system, ...question(1)], { maxTokens: 1 })
    ask(2)
    rig.add('stranger', text(9, 20))
    expect(await plans(2)).toEqual([['s1 0+160*'], ['s2 150+10*', 'stranger 0+20*']])
  })

  it('is waited for in a chain where the next one shares still more', async () => {
    create({ stepTokens: 256 })
    const document = [...system, ...question(1, 150)]
    rig.add('a', [...system, ...question(2)])
    rig.add('b', [...document, ...question(3)])
    rig.add('c', [...document, ...question(4)])
    rig.add('d', [...system, ...question(5)])
    expect(await plans(5)).toEqual([
      ['a 0+160*'],
      ['b (copy of 0) 150+160*', 'd (copy of 0) 150+10*'],
      // Streams wait for one prompt more, since it takes no time here.
      ['c (copy of 1) 300+10*'],
      ['a 160+1*', 'b 310+1*', 'c 310+1*', 'd 160+1*'],
      ['a 161+1*', 'b 311+1*', 'c 311+1*', 'd 161+1*']
    ])
  })

  it('is read by one of those that waited for a leader whose slot was taken', async () => {
    create()
    rig.add('leader', [...system, ...question(1)], { priority: 'batch' })
    await rig.step()
    ask(2, 3, 4)
    await rig.step()
    rig.add('urgent', text(9, 20), { priority: 'interactive', maxTokens: 20 })
    expect((await rig.step()).plan.preempted).toEqual([id('leader')])
    await drain()
    // What the leader had read is lost; later it copies the start, as two of the others do.
    expect(rig.scheduler.snapshot()).toMatchObject({ preempted: 1, promptTokens: 128 + 20 + 160 + 3 * 10 })
    expect(rig.engine.violations).toEqual([])
  })

  it('is paid for by whoever it is computed for', async () => {
    create({ slotsPerLane: 2, stepTokens: 512 })
    for (const name of ['anna', 'ben']) {
      for (const number of [1, 2, 3]) {
        rig.add(`${name}${number}`, [...system, ...question(number * 2 + name.length)], { tenant: asTenantId(name), maxTokens: 1 })
      }
    }
    const order: string[] = []
    while (order.length < 6) {
      const { events } = await rig.step()
      order.push(...events.flatMap((event) => event.type === 'sequence-finished' ? [event.id] : []))
    }
    // Anna's first one read it for all, 150 tokens; Ben's three together cost less.
    expect(order).toEqual(['anna1', 'ben1', 'ben2', 'ben3', 'anna2', 'anna3'])
  })

  it('is paid for by the next one that reads it, when the leader has left nothing', async () => {
    create({ slotsPerLane: 2, stepTokens: 512 }, new Map([[1, 'reject']]))
    const [ben, dora] = [asTenantId('ben'), asTenantId('dora')]
    ask(1)
    rig.add('ben1', [...system, ...question(2)], { tenant: ben })
    for (const number of [1, 2]) rig.add(`dora${number}`, text(number + 10, 60), { tenant: dora, maxTokens: 1 })
    rig.add('ben2', text(20, 10), { tenant: ben })
    // Had ben paid for his own question alone, his second one would go before dora's.
    expect(await plans(3)).toEqual([['s1 0+160*'], ['ben1 0+160*', 'dora1 0+60*'], ['dora2 0+60*']])
  })
})
