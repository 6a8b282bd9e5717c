import { afterEach, describe, expect, it, vi } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asRequestId, asSequenceId, asTenantId, asToken, type LaneId } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import type { Engine, EngineInfo } from '../../../src/engine/engine.ts'
import { type EmbeddingTurns, StepLoop } from '../../../src/inference/step-loop.ts'
import type { StepPlan, WorkOutcome } from '../../../src/scheduler/plan.ts'
import type { NewSequence, SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'
import { Scheduler } from '../../../src/scheduler/scheduler.ts'
import { patience } from '../../support/patience.ts'

interface PendingStep {
  readonly plan: StepPlan
  /** Draws this token for every sequence that samples. */
  succeed (token: number): void
  reject (error: Error): void
}

/** Steps wait until the test settles them, which makes the loop's order of things visible. */
function createSteppedEngine (laneCount: number): { engine: Engine, nextStep: () => Promise<PendingStep> } {
  const steps: PendingStep[] = []
  const step = (plan: StepPlan): Promise<readonly WorkOutcome[]> => new Promise((resolve, reject) => {
    steps.push({
      plan,
      succeed: (token) => resolve(plan.work.map(({ slot, sample }) =>
        ({ slot, token: sample === undefined ? null : asToken(token) }))),
      reject
    })
  })
  const embed = async (lane: LaneId): Promise<Float32Array> => {
    if (lane > 0) throw new Error(`lane ${lane} is broken`)
    return new Float32Array(1)
  }
  const engine = { info: { laneCount } as EngineInfo, step, embed } as unknown as Engine
  return {
    engine,
    nextStep: async () => {
      await vi.waitFor(() => expect(steps.length).toBeGreaterThan(0), { ...patience, interval: 1 })
      return steps.shift() as PendingStep
    }
  }
}

/** Inputs in a row, and what became of them. */
function createTurns (names: string[], laneCount = 1): EmbeddingTurns & { readonly done: string[] } {
  const done: string[] = []
  return {
    done,
    laneCount,
    next: () => {
      const name = names.shift()
      return name === undefined ? null : { id: asRequestId(name), index: 0, tokens: [asToken(1)], queuedMs: 0 }
    },
    commit: ({ id }, outcome) => { done.push(outcome instanceof Error ? `${id}: ${outcome.message}` : id) },
    expire: () => {}
  }
}

type OnEvents = (events: readonly SequenceEvent[], scheduler: Scheduler, loop: StepLoop) => void

interface LoopOptions {
  readonly laneCount?: number
  readonly slotsPerLane?: number
  readonly gatherMs?: number
  readonly embeddings?: EmbeddingTurns
}

function createLoop ({ laneCount = 1, slotsPerLane = 2, gatherMs = 0, embeddings }: LoopOptions = {}, onEvents: OnEvents = () => {}): {
  scheduler: Scheduler,
  loop: StepLoop,
  events: SequenceEvent[],
  nextStep: () => Promise<PendingStep>
  clock: { now: number },
  lost: Error[]
} {
  const { engine, nextStep } = createSteppedEngine(laneCount)
  const scheduler = new Scheduler({
    laneCount, slotsPerLane, contextSize: 32, stepTokens: 8, threads: laneCount, endTokens: [], maxQueue: 8, policy: 'fair', targetItlMs: 'auto', turnSteps: 4
  })
  const events: SequenceEvent[] = []
  const lost: Error[] = []
  const clock = { now: 0 }
  const loop: StepLoop = new StepLoop({
    scheduler,
    ...(embeddings === undefined ? {} : { embeddings }),
    engine,
    now: () => clock.now,
    onEvents: (batch) => {
      events.push(...batch)
      onEvents(batch, scheduler, loop)
    },
    onStepLost: (_, error) => lost.push(error),
    gatherMs
  })
  return { scheduler, loop, events, nextStep, clock, lost }
}

const sequence = (name: string, more: Partial<NewSequence> = {}): NewSequence => ({
  id: asSequenceId(name),
  tenant: asTenantId('t'),
  adapters: baseAdapterSet,
  prompt: [asToken(1), asToken(2)],
  maxTokens: 3,
  sampling: greedySampling,
  queueDeadline: Infinity,
  deadline: Infinity,
  ...more
})

const tokensOf = (events: readonly SequenceEvent[]): number[] =>
  events.flatMap((event) => event.type === 'token-drawn' ? [event.token] : [])

describe('StepLoop', () => {
  const loops: StepLoop[] = []
  const create = (...options: Parameters<typeof createLoop>): ReturnType<typeof createLoop> => {
    const made = createLoop(...options)
    loops.push(made.loop)
    return made
  }
  afterEach(async () => { await Promise.all(loops.splice(0).map((loop) => loop.close())) })

  it('gathers the tokens of steps that follow each other fast, and nothing else', async () => {
    const { scheduler, loop, events, nextStep, clock } = create({ gatherMs: 2 })
    scheduler.add(sequence('a', { maxTokens: 9 }), 0)
    loop.wake()
    const draw = async (token: number, tookMs: number): Promise<void> => {
      const step = await nextStep()
      clock.now += tookMs
      step.succeed(token)
    }
    // The first step also tells that the sequence has begun.
    await draw(1, 0.5)
    await draw(2, 0.5)
    expect(tokensOf(events)).toEqual([1])
    await draw(3, 0.5)
    await draw(4, 0.5)
    expect(tokensOf(events)).toEqual([1])
    // Two milliseconds after it told of the first one.
    await draw(5, 0.5)
    await draw(6, 0.5)
    expect(tokensOf(events)).toEqual([1, 2, 3, 4, 5])
    // After a slow step the next one may be slow too.
    await draw(7, 5)
    await draw(8, 0.5)
    expect(tokensOf(events)).toEqual([1, 2, 3, 4, 5, 6, 7])
    await draw(9, 0.5)
    await vi.waitFor(() => expect(events.at(-1)).toMatchObject({ type: 'sequence-finished' }), patience)
    expect(tokensOf(events)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('embeds one input between two steps, and one after the other where there are none', async () => {
    const names = ['a', 'b', 'c', 'd']
    const embeddings = createTurns(names)
    const { scheduler, loop, nextStep } = create({ embeddings })
    await vi.waitFor(() => expect(embeddings.done).toEqual(['a', 'b', 'c', 'd']), patience)
    scheduler.add(sequence('s'), 0)
    names.push('e', 'f', 'g', 'h', 'i')
    loop.wake()
    for (const expected of ['e', 'f', 'g']) {
      const step = await nextStep()
      expect(embeddings.done.at(-1)).toBe(expected)
      step.succeed(1)
    }
    await vi.waitFor(() => expect(embeddings.done.at(-1)).toBe('i'), patience)
    expect(loop.stepSeconds).toBe(0)
  })

  it('embeds in the lanes that can, and tells of inputs that failed', async () => {
    const names: string[] = []
    const embeddings = createTurns(names, 2)
    const { loop } = create({ laneCount: 3, embeddings })
    names.push('a', 'b', 'c')
    loop.wake()
    await vi.waitFor(() => expect(embeddings.done).toHaveLength(3), patience)
    expect(embeddings.done.toSorted()).toEqual(expect.arrayContaining(['a']))
    expect(embeddings.done).toContain('b: lane 1 is broken')
    expect(embeddings.done.join()).not.toContain('lane 2')
  })

  it('hands on the events of a step while the next one is under way', async () => {
    const { scheduler, loop, events, nextStep } = create()
    scheduler.add(sequence('a'), 0)
    loop.wake()
    const first = await nextStep()
    expect(tokensOf(events)).toEqual([])
    first.succeed(7)
    const second = await nextStep()
    expect(tokensOf(events)).toEqual([7])
    second.succeed(8)
    const third = await nextStep()
    expect(tokensOf(events)).toEqual([7, 8])
    third.succeed(9)
    await vi.waitFor(() => expect(events.at(-1)).toMatchObject({ type: 'sequence-finished', reason: 'length' }), patience)
    expect(tokensOf(events)).toEqual([7, 8, 9])
  })

  it('leaves out of the next plan what was aborted during a step', async () => {
    const { scheduler, loop, events, nextStep } = create()
    scheduler.add(sequence('a'), 0)
    scheduler.add(sequence('b'), 0)
    loop.wake()
    const first = await nextStep()
    expect(first.plan.work).toHaveLength(2)
    scheduler.abort(asSequenceId('a'))
    first.succeed(7)
    const second = await nextStep()
    expect(second.plan.work.map((work) => work.sequence)).toEqual(['b'])
    expect(second.plan.released).toEqual(['a'])
    expect(events.some((event) => event.id === 'a')).toBe(false)
    second.reject(new Error('end of test'))
  })

  it('fails the sequences of a lost step and goes on', async () => {
    const { scheduler, loop, events, nextStep, lost } = create()
    scheduler.add(sequence('a'), 0)
    loop.wake()
    const first = await nextStep()
    scheduler.add(sequence('b'), 0)
    first.reject(new Error('decode failed'))
    const second = await nextStep()
    expect(lost.map((error) => error.message)).toEqual(['decode failed'])
    expect(events).toMatchObject([{ type: 'sequence-failed', id: 'a', error: { code: 'engine_error' } }])
    expect(second.plan.work.map((work) => work.sequence)).toEqual(['b'])
    second.reject(new Error('end of test'))
  })

  it('ends what waits too long, although a step takes for ever', async () => {
    const { scheduler, loop, events, nextStep, clock } = create({ slotsPerLane: 1 })
    scheduler.add(sequence('a'), 0)
    scheduler.add(sequence('b', { queueDeadline: 100 }), 0)
    loop.wake()
    const stuck = await nextStep()
    clock.now = 101
    await vi.waitFor(() => expect(events).toMatchObject([
      { type: 'sequence-failed', id: 'b', error: { code: 'queue_timeout' } }
    ]), patience)
    stuck.reject(new Error('end of test'))
  })

  it('steps lanes at the same time', async () => {
    const { scheduler, loop, nextStep } = create({ laneCount: 2, slotsPerLane: 1 })
    scheduler.add(sequence('a'), 0)
    scheduler.add(sequence('b'), 0)
    loop.wake()
    const steps = [await nextStep(), await nextStep()]
    expect(steps.map(({ plan }) => plan.lane).sort()).toEqual([0, 1])
    for (const step of steps) step.reject(new Error('end of test'))
  })

  it('takes up at once what the last events before a rest bring', async () => {
    const { scheduler, loop, nextStep } = create({}, (events) => {
      if (!events.some(({ type, id }) => type === 'sequence-finished' && id === 'a')) return
      scheduler.add(sequence('b'), 0)
      loop.wake()
    })
    scheduler.add(sequence('a', { maxTokens: 1 }), 0)
    loop.wake()
    const only = await nextStep()
    only.succeed(7)
    const next = await nextStep()
    expect(next.plan.work.map((work) => work.sequence)).toEqual(['b'])
    next.reject(new Error('end of test'))
  })

  it('wakes the lane in which a choice goes on whose prompt was read in another', async () => {
    const { scheduler, loop, nextStep } = create({ laneCount: 2, slotsPerLane: 1 })
    scheduler.addAll([sequence('a'), sequence('b', { sharesPromptWith: asSequenceId('a') })], 0)
    loop.wake()
    const first = await nextStep()
    expect(first.plan.work.map((work) => work.sequence)).toEqual(['a'])
    first.succeed(7)
    const steps = [await nextStep(), await nextStep()]
    expect(steps.flatMap(({ plan }) => plan.work.map((work) => work.sequence)).sort()).toEqual(['a', 'b'])
    for (const step of steps) step.reject(new Error('end of test'))
  })
})
