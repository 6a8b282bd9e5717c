import { describe, expect, it } from 'vitest'
import { asRequestId, asTenantId, asToken } from '../../../src/domain/ids.ts'
import { EmbeddingQueue } from '../../../src/scheduler/embedding-queue.ts'
import type { NewSequence, SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'
import { id, Rig, text } from './rig.ts'

/** One slot, which is taken. */
async function busyRig (limits: ConstructorParameters<typeof Rig>[0]): Promise<Rig> {
  const rig = new Rig({ slotsPerLane: 1, contextSize: 1000, ...limits })
  rig.add('running', text(1, 4), { tenant: asTenantId('somebody'), maxTokens: 50 })
  await rig.step()
  return rig
}

function add (rig: Rig, name: string, promptTokens: number, rest: Partial<NewSequence> = {}): readonly SequenceEvent[] {
  return rig.scheduler.add(rig.sequence(name, text(2, promptTokens), rest), rig.now)
}

const message = (text: string): unknown => expect.objectContaining({ code: 'queue_full', message: text })

describe('a limit for each tenant', () => {
  it('turns away what is beyond it, and nobody else', async () => {
    const rig = await busyRig({ maxQueuePerTenant: 2 })
    add(rig, 'a', 4)
    add(rig, 'b', 4)
    expect(() => add(rig, 'c', 4)).toThrow(message('2 of your requests are waiting; the limit is 2 for each user'))
    expect(add(rig, 'd', 4, { tenant: asTenantId('other') })).toEqual([])
    rig.scheduler.abort(id('a'))
    expect(add(rig, 'c', 4)).toEqual([])
  })

  it('does not keep one request with many choices from waiting alone', async () => {
    const rig = await busyRig({ maxQueuePerTenant: 2 })
    const choices = ['a', 'b', 'c'].map((name) => rig.sequence(name, text(2, 4)))
    expect(rig.scheduler.addAll(choices, 0)).toEqual([])
    expect(() => add(rig, 'd', 4)).toThrow(message('3 of your requests are waiting; the limit is 2 for each user'))
  })

  it('counts none that the next plan gives a slot', async () => {
    const rig = new Rig({ slotsPerLane: 4, maxQueuePerTenant: 2 })
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) expect(add(rig, name, 4)).toEqual([])
    expect(() => add(rig, 'g', 4)).toThrow(message('2 of your requests are waiting; the limit is 2 for each user'))
  })
})

describe('a limit for tokens', () => {
  it('turns away prompts beyond it, and lets others push out who has most waiting', async () => {
    const rig = await busyRig({ maxQueueTokens: 100 })
    add(rig, 'a', 40)
    add(rig, 'b', 40)
    expect(() => add(rig, 'c', 40)).toThrow(message('2 requests are waiting; the limit is 100 tokens, and their prompts have 80'))
    const [event, ...more] = add(rig, 'd', 40, { tenant: asTenantId('other') })
    expect(event).toMatchObject({ type: 'sequence-failed', id: id('b'), error: { code: 'queue_full' } })
    expect(more).toEqual([])
    expect(add(rig, 'e', 20)).toEqual([])
  })

  it('lets a prompt that is longer than it wait alone', async () => {
    const rig = await busyRig({ maxQueueTokens: 100 })
    expect(add(rig, 'a', 500)).toEqual([])
    expect(() => add(rig, 'b', 1)).toThrow(message('1 request is waiting; the limit is 100 tokens, and their prompts have 500'))
    rig.scheduler.abort(id('a'))
    expect(add(rig, 'b', 1)).toEqual([])
  })

  it('counts no prompt that has a slot, and none twice that lost it', async () => {
    const rig = await busyRig({ maxQueueTokens: 100, slotsPerLane: 2 })
    add(rig, 'a', 90, { tenant: asTenantId('somebody'), priority: 'batch', maxTokens: 20 })
    await rig.step()
    add(rig, 'b', 60)
    await rig.step()
    expect(rig.scheduler.snapshot()).toMatchObject({ preempted: 1, displaced: 1 })
    expect(add(rig, 'c', 100)).toEqual([])
    expect(() => add(rig, 'd', 1)).toThrow(message('1 request is waiting; the limit is 100 tokens, and their prompts have 100'))
  })

  it('counts no prompt that the next plan gives a slot, were it the longest', async () => {
    const rig = new Rig({ slotsPerLane: 4, contextSize: 1000, maxQueueTokens: 100 })
    for (const name of ['a', 'b', 'c', 'd', 'e']) expect(add(rig, name, 60)).toEqual([])
    expect(add(rig, 'f', 30)).toEqual([])
    expect(() => add(rig, 'g', 30)).toThrow(message('2 requests are waiting; the limit is 100 tokens, and their prompts have 90'))
    expect(add(rig, 'h', 10)).toEqual([])
  })
})

describe('a full queue', () => {
  it('keeps the choices that wait of a request whose first one has begun', async () => {
    const rig = new Rig({ slotsPerLane: 1, maxQueue: 3 })
    const choices = ['a', 'b', 'c'].map((name, index) =>
      rig.sequence(name, text(1, 4), { tenant: asTenantId('somebody'), ...(index === 0 ? {} : { sharesPromptWith: id('a') }) }))
    rig.scheduler.addAll(choices, 0)
    await rig.step()
    add(rig, 'd', 4, { tenant: asTenantId('somebody') })
    const other = { tenant: asTenantId('other') }
    expect(add(rig, 'e', 4, other)).toMatchObject([{ type: 'sequence-failed', id: id('d') }])
    const third = { tenant: asTenantId('third') }
    expect(() => add(rig, 'f', 4, third)).toThrow(message('3 requests are waiting; the limit is 3'))
  })

  it('turns away choices of a request that has not begun', async () => {
    const rig = await busyRig({ maxQueue: 2 })
    rig.scheduler.addAll(['a', 'b'].map((name, index) => rig.sequence(name, text(2, 4), index === 0 ? {} : { sharesPromptWith: id('a') })), 0)
    expect(add(rig, 'c', 4, { tenant: asTenantId('other') })).toMatchObject([{ type: 'sequence-failed', id: id('b') }])
  })
})

describe('limits that change', () => {
  it('hold for what comes, and turn nobody away who waits', async () => {
    const rig = await busyRig({ maxQueue: 3, maxQueueTokens: 100 })
    for (const name of ['a', 'b', 'c']) add(rig, name, 30)
    rig.scheduler.limit({ maxQueue: 2, targetItlMs: 'auto' })
    expect(() => add(rig, 'd', 4)).toThrow(message('3 requests are waiting; the limit is 2'))
    rig.scheduler.abort(id('a'))
    rig.scheduler.abort(id('b'))
    // There is no limit to tokens any more.
    expect(add(rig, 'd', 90)).toEqual([])
    rig.scheduler.limit({ maxQueue: 10, maxQueuePerTenant: 2, targetItlMs: 'auto' })
    expect(() => add(rig, 'e', 4)).toThrow(message('2 of your requests are waiting; the limit is 2 for each user'))
  })

  it('of embeddings hold for what comes as well', () => {
    const queue = new EmbeddingQueue({ maxQueue: 1, policy: 'fair' })
    const embed = (name: string): void => {
      queue.add({ id: asRequestId(name), tenant: asTenantId('t'), inputs: [[asToken(1)]], queueDeadline: Infinity, deadline: Infinity }, 0)
    }
    embed('a')
    expect(() => embed('b')).toThrow(message('1 requests are waiting; the limit is 1'))
    queue.limit({ maxQueue: 2 })
    embed('b')
    expect(() => embed('c')).toThrow(message('2 requests are waiting; the limit is 2'))
  })
})
