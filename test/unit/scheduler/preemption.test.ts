import { describe, expect, it } from 'vitest'
import { asTenantId } from '../../../src/domain/ids.ts'
import type { NewSequence, SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'
import { id, Rig, summary, text } from './rig.ts'

const of = (tenant: string, rest: Partial<NewSequence> = {}): Partial<NewSequence> => ({ tenant: asTenantId(tenant), ...rest })

const drawnFor = (events: readonly SequenceEvent[], name: string): number[] =>
  events.flatMap((event) => event.type === 'token-drawn' && event.id === id(name) ? [event.token] : [])

/** Steps until nothing is left to do. */
async function finish (rig: Rig, events: SequenceEvent[] = []): Promise<SequenceEvent[]> {
  for (;;) {
    const { waiting, running } = rig.scheduler.snapshot()
    if (waiting + running === 0) return events
    events.push(...(await rig.step()).events)
  }
}

describe('preemption', () => {
  it('gives a slot of whoever has two to who has none, and goes on later where it was', async () => {
    const alone = new Rig({ slotsPerLane: 1 })
    alone.add('flood-2', text(2, 40))
    const expected = drawnFor(await finish(alone), 'flood-2')

    const rig = new Rig({ slotsPerLane: 2 })
    const events: SequenceEvent[] = []
    rig.add('flood-1', text(1, 20), of('flood', { maxTokens: 20 }))
    rig.add('flood-2', text(2, 40), of('flood'))
    for (let step = 0; step < 3; step++) events.push(...(await rig.step()).events)

    rig.add('chat', text(3, 30), of('somebody', { maxTokens: 2 }))
    const { plan } = await rig.step()
    expect(summary(plan)).toEqual(['chat 0+30*'])
    expect(plan.preempted).toEqual([id('flood-2')])
    expect(rig.scheduler.snapshot()).toMatchObject({ waiting: 1, displaced: 1, running: 2, preempted: 1 })

    const next = await rig.step()
    expect(summary(next.plan)).toEqual(['flood-1 22+1*', 'chat 30+1*'])
    events.push(...next.events)
    const resumed = rig.plan()
    // Its cache was overwritten: the prompt and what had been drawn are computed again, and the token that was next.
    expect(summary(resumed)).toEqual(['flood-2 0+43*'])
    events.push(...(await rig.carryOut(resumed)).events)
    await finish(rig, events)
    expect(drawnFor(events, 'flood-2')).toEqual(expected)
    expect(events.filter((event) => event.id === id('flood-2') && event.type === 'sequence-started')).toHaveLength(1)
    expect(rig.scheduler.snapshot()).toMatchObject({ promptTokens: 90, recomputedTokens: 42, displaced: 0 })
    expect(rig.engine.violations).toEqual([])
  })

  it('tells of a deadline of one that waits for its slot to come back as of one that runs', async () => {
    const rig = new Rig({ slotsPerLane: 1 })
    rig.add('batch', text(1, 10), of('a', { priority: 'batch', queueDeadline: 5, deadline: 50 }))
    await rig.step()
    rig.now = 10
    rig.add('chat', text(2, 10), of('b'))
    await rig.step()
    expect(rig.scheduler.expire(20)).toEqual([])
    const [event] = rig.scheduler.expire(50)
    expect(event).toMatchObject({ type: 'sequence-failed', id: id('batch'), error: { code: 'generation_timeout' } })
    await finish(rig)
    expect(rig.scheduler.snapshot()).toMatchObject({ waiting: 0, displaced: 0, failed: 1 })
  })

  it.each(['abort', 'finish'] as const)('lets one that waits for its slot to come back %s, and the engine hears of it', async (verb) => {
    const rig = new Rig({ slotsPerLane: 1 })
    rig.add('batch', text(1, 10), of('a', { priority: 'batch' }))
    await rig.step()
    rig.add('chat', text(2, 10), of('b'))
    await rig.step()
    rig.scheduler[verb](id('batch'))
    expect(rig.scheduler.snapshot()).toMatchObject({ waiting: 0, displaced: 0, running: 1 })
    expect(rig.plan().released).toEqual([id('batch')])
  })

  it('turns nobody away who has begun, however full the queue is', async () => {
    const rig = new Rig({ slotsPerLane: 1, maxQueue: 1 })
    rig.add('batch', text(1, 10), of('a', { priority: 'batch' }))
    await rig.step()
    rig.add('chat', text(2, 10), of('b'))
    await rig.step()
    rig.add('next', text(3, 10), of('c', { priority: 'batch' }))
    // The newcomer takes the place of the one that has not begun.
    const events = rig.scheduler.add(rig.sequence('urgent', text(4, 10), of('d')), 0)
    expect(events).toMatchObject([{ type: 'sequence-failed', id: id('next'), error: { code: 'queue_full' } }])
    const ends = (await finish(rig)).filter(({ type }) => type === 'sequence-finished').map((event) => event.id)
    expect(ends.toSorted()).toEqual([id('batch'), id('chat'), id('urgent')])
  })

  it('takes no slot in a lane whose step is under way', async () => {
    const rig = new Rig({ laneCount: 2, slotsPerLane: 1 })
    rig.add('batch-1', text(1, 10), of('a', { priority: 'batch' }))
    rig.add('batch-2', text(2, 10), of('a', { priority: 'batch' }))
    const first = rig.plan(0)
    const second = rig.plan(1)
    rig.add('chat', text(3, 10), of('b'))
    await rig.carryOut(first)
    expect(summary(rig.plan(0))).toEqual(['chat 0+10*'])
    await rig.carryOut(second)
    expect(summary(rig.plan(1))).toEqual(['batch-2 10+1*'])
  })

  it('leaves no slot idle when choices come back in another order than they came', async () => {
    const rig = new Rig({ laneCount: 2, slotsPerLane: 1 })
    const prompt = text(1, 10)
    rig.add('first', prompt, of('a', { priority: 'batch' }))
    rig.add('second', prompt, of('a', { priority: 'batch', sharesPromptWith: id('first') }))
    await rig.step(0)
    await rig.step(1)
    // The one that the other shares its prompt with loses its slot first, so it is behind the other in the line.
    rig.add('chat-1', text(2, 10), of('b', { maxTokens: 1 }))
    const first = rig.plan(0)
    expect(summary(first)).toEqual(['chat-1 0+10*'])
    rig.add('chat-2', text(3, 10), of('c'))
    expect(summary((await rig.step(1)).plan)).toEqual(['chat-2 0+10*'])
    await rig.carryOut(first)
    expect(rig.scheduler.snapshot()).toMatchObject({ displaced: 2, running: 1 })
    expect(summary(rig.plan(0))).toEqual(['second 0+11*'])
  })

  it('reads the prompt of a newcomer before those of the flood, though each of those gets its turn', async () => {
    const rig = new Rig({ slotsPerLane: 4, stepTokens: 16, contextSize: 512 })
    for (const name of ['flood-1', 'flood-2', 'flood-3']) rig.add(name, text(Number(name.at(-1)), 200), of('flood', { maxTokens: 1 }))
    await rig.step()
    rig.add('chat', text(9, 48), of('somebody', { maxTokens: 1 }))
    const read: string[] = []
    for (let step = 0; step < 8; step++) read.push(...summary((await rig.step()).plan).map((line) => line.split(' ', 1)[0]!))
    expect(read).toEqual(['chat', 'chat', 'chat', 'flood-1', 'flood-1', 'flood-1', 'flood-1', 'flood-1'])
  })

  it.each([0, 1])('lets each prompt have its turn in each lane, whatever plans other lanes make meanwhile (%i more)', async (more) => {
    const rig = new Rig({ laneCount: 2, slotsPerLane: 2, stepTokens: 16, contextSize: 512, lanesAreApart: true })
    const add = async (name: string, prompt: number, rest: Partial<NewSequence>): Promise<void> => {
      rig.add(name, text(prompt, prompt), rest)
      await rig.step(0)
    }
    await add('stream-1', 4, { maxTokens: 400 })
    await add('batch', 200, of('night', { priority: 'batch' }))
    await add('stream-2', 5, { maxTokens: 400 })
    await add('chat', 500, of('somebody', { priority: 'interactive' }))
    for (let step = 0; step < more; step++) await rig.step(0)
    const read: string[] = []
    for (let step = 0; step < 16; step++) {
      await rig.step(0)
      read.push(...summary((await rig.step(1)).plan).map((line) => line.split(' ', 1)[0]!))
    }
    expect(read.filter((name) => name === 'batch')).toHaveLength(1)
    expect(read.filter((name) => name === 'chat')).toHaveLength(15)
  })
})
