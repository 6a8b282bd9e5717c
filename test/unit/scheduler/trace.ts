import { baseAdapterSet, createAdapterSet, adapterKey, type AdapterSet } from '../../../src/domain/adapter-set.ts'
import { ServerError, type ErrorCode } from '../../../src/domain/errors.ts'
import { asLaneId, asSequenceId, asTenantId, asToken, type LaneId, type Millis, type SequenceId, type Token } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling } from '../../../src/domain/sampling.ts'
import { createFakeEngine, type FakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import type { FaultKind } from '../../../src/engine/fake/faults.ts'
import type { StepPlan, WorkOutcome } from '../../../src/scheduler/plan.ts'
import { Scheduler } from '../../../src/scheduler/scheduler.ts'
import type { NewSequence, SchedulerConfig, SchedulerSnapshot, SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'
import type { Action, RequestShape, Scenario } from './scenario.ts'

/** One thing that was done to the scheduler, and what it said. Plain data: equal runs have equal traces. */
export type TraceEntry =
  | {
    readonly kind: 'add'
    readonly sequence: NewSequence
    /** `waiting` of the snapshot before, less the slots that were free. */
    readonly waiting: number
    /** Null when it was taken. */
    readonly refusal: ErrorCode | null
    readonly now: Millis
    /** Of others, pushed out of a full queue. */
    readonly events: readonly SequenceEvent[]
  }
  | { readonly kind: 'abort' | 'finish', readonly id: SequenceId }
  | {
    readonly kind: 'plan'
    readonly plan: StepPlan
    /** Of all lanes, when the plan was made. */
    readonly freeSlots: number
    readonly now: Millis
  }
  | {
    readonly kind: 'commit'
    readonly plan: StepPlan
    readonly outcomes: readonly WorkOutcome[]
    readonly events: readonly SequenceEvent[]
  }
  | { readonly kind: 'expire', readonly now: Millis, readonly events: readonly SequenceEvent[] }

export interface Trace {
  readonly config: SchedulerConfig
  readonly entries: readonly TraceEntry[]
  readonly sequences: ReadonlyMap<SequenceId, NewSequence>
  /** Messages of the engine's checker. */
  readonly violations: readonly string[]
  /** After everything has ended. */
  readonly final: SchedulerSnapshot
}

const adapterSets: readonly AdapterSet[] = [
  baseAdapterSet,
  createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }]),
  createAdapterSet([{ name: 'poet', generation: 2, scale: 1 }]),
  createAdapterSet([{ name: 'poet', generation: 1, scale: 0.5 }]),
  createAdapterSet([{ name: 'poet', generation: 1, scale: 1 }, { name: 'coder', generation: 1, scale: 1 }])
]

/** The scheduler and a fake engine under one roof, with every call written down. */
class Recorder {
  readonly entries: TraceEntry[] = []
  readonly sequences = new Map<SequenceId, NewSequence>()
  readonly scheduler: Scheduler
  readonly engine: FakeEngine
  readonly #config: SchedulerConfig
  readonly #inFlight = new Map<LaneId, { readonly plan: StepPlan, readonly outcomes: Promise<readonly WorkOutcome[]> }>()
  readonly #started = new Set<SequenceId>()
  now: Millis = 0

  constructor (config: Omit<SchedulerConfig, 'endTokens'>, faults: ReadonlyMap<number, FaultKind>) {
    const { laneCount, slotsPerLane, contextSize, stepTokens, threads, hasDraftModel = false } = config
    this.engine = createFakeEngine({
      laneCount,
      slotsPerLane,
      contextSize,
      threads,
      maxStepTokens: stepTokens,
      faults: { steps: faults },
      ...(hasDraftModel ? { draftAcceptance: 0.8 } : {})
    })
    this.#config = { ...config, endTokens: this.engine.info.endTokens }
    this.scheduler = new Scheduler(this.#config)
  }

  async loadAdapters (): Promise<void> {
    const { signal } = new AbortController()
    for (const set of adapterSets) {
      for (const adapter of set.adapters) {
        await this.engine.loadAdapter(adapterKey(adapter), { path: import.meta.filename }, signal)
      }
    }
  }

  add (sequence: NewSequence): void {
    const before = this.scheduler.snapshot()
    const freeSlots = freeSlotsOf(before)
    let refusal: ErrorCode | null = null
    let events: readonly SequenceEvent[] = []
    try {
      events = this.scheduler.add(sequence, this.now)
      this.sequences.set(sequence.id, sequence)
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      refusal = error.code
    }
    this.entries.push({ kind: 'add', sequence, waiting: before.waiting - before.displaced - Math.max(0, freeSlots - before.displaced), refusal, now: this.now, events })
  }

  abort (id: SequenceId): void {
    this.scheduler.abort(id)
    this.entries.push({ kind: 'abort', id })
  }

  /** As the reader of a sequence's text would do: only sequences that have text. */
  finish (id: SequenceId): void {
    if (!this.#started.has(id)) return
    this.scheduler.finish(id)
    this.entries.push({ kind: 'finish', id })
  }

  expire (): void {
    this.entries.push({ kind: 'expire', now: this.now, events: this.scheduler.expire(this.now) })
  }

  /** Begins the lane's next step, unless one is under way. False when there is nothing to do. */
  begin (lane: LaneId): boolean {
    if (this.#inFlight.has(lane)) return false
    const plan = this.scheduler.schedule(lane, this.now)
    if (plan === null) return false
    const outcomes = this.engine.step(plan).catch((error: unknown) =>
      plan.work.map(({ slot }) => ({ slot, error: error as Error })))
    this.#inFlight.set(lane, { plan, outcomes })
    // The plan shares the history's array with the scheduler; the trace keeps it as it was.
    this.entries.push({ kind: 'plan', plan: structuredClone(plan), freeSlots: freeSlotsOf(this.scheduler.snapshot()), now: this.now })
    return true
  }

  /** Of the step that is under way. */
  sequencesIn (lane: LaneId): number { return this.#inFlight.get(lane)?.plan.work.length ?? 0 }

  async end (lane: LaneId): Promise<void> {
    const step = this.#inFlight.get(lane)
    if (step === undefined) return
    const outcomes = await step.outcomes
    this.#inFlight.delete(lane)
    const events = this.scheduler.commit(step.plan, outcomes, this.now)
    for (const event of events) if (event.type === 'sequence-started') this.#started.add(event.id)
    this.entries.push({ kind: 'commit', plan: structuredClone(step.plan), outcomes, events })
  }

  /** Steps until nothing is left to do. */
  async drain (): Promise<void> {
    const lanes = Array.from({ length: this.#config.laneCount }, (_, index) => asLaneId(index))
    for (const lane of lanes) await this.end(lane)
    for (let round = 0; ; round++) {
      const { waiting, running } = this.scheduler.snapshot()
      if (waiting === 0 && running === 0) return
      const begun = lanes.filter((lane) => this.begin(lane))
      if (begun.length === 0) throw new Error(`${waiting} waiting and ${running} running sequences, but no plan for them`)
      if (round > 100_000) throw new Error('the scheduler does not come to an end')
      for (const lane of begun) await this.end(lane)
      this.now++
    }
  }

  trace (): Trace {
    return {
      config: this.#config,
      entries: this.entries,
      sequences: this.sequences,
      violations: this.engine.violations.map((violation) => violation.message),
      final: this.scheduler.snapshot()
    }
  }
}

const freeSlotsOf = ({ lanes }: SchedulerSnapshot): number => lanes.reduce((sum, { slotCount, busySlots }) => sum + slotCount - busySlots, 0)

/** Plays a scenario to the end. */
export async function play (scenario: Scenario): Promise<Trace> {
  const recorder = new Recorder(scenario.config, new Map(scenario.faults))
  await recorder.loadAdapters()
  for (const action of scenario.actions) await perform(recorder, action)
  await recorder.drain()
  return recorder.trace()
}

/** What a sequence draws when there is nothing else in the world: one lane, one slot, no faults. */
export async function playAlone (sequence: NewSequence, contextSize: number): Promise<Trace> {
  const config = {
    laneCount: 1, slotsPerLane: 1, contextSize, stepTokens: contextSize, threads: 1, maxQueue: 1, turnSteps: 1, policy: 'fair' as const, targetItlMs: 'auto' as const
  }
  const recorder = new Recorder(config, new Map())
  await recorder.loadAdapters()
  const { sharesPromptWith: _, ...independent } = sequence
  recorder.add({ ...independent, queueDeadline: Infinity, deadline: Infinity })
  await recorder.drain()
  return recorder.trace()
}

async function perform (recorder: Recorder, action: Action): Promise<void> {
  const laneCount = recorder.engine.info.laneCount
  switch (action.type) {
    case 'request': { addRequest(recorder, action.request); break }
    case 'abort': case 'finish': {
      // Any sequence that was ever added: ended ones must not mind.
      const ids = [...recorder.sequences.keys()]
      const id = ids[ids.length - 1 - (action.back % Math.max(1, ids.length))]
      if (id !== undefined) recorder[action.type](id)
      break
    }
    case 'begin': { recorder.begin(asLaneId(action.lane % laneCount)); break }
    case 'end': { await recorder.end(asLaneId(action.lane % laneCount)); break }
    case 'compute': {
      recorder.now += recorder.sequencesIn(asLaneId(action.lane % laneCount)) * action.sequenceMs
      recorder.expire()
      break
    }
    case 'wait': {
      recorder.now += action.durationMs
      recorder.expire()
    }
  }
}

function addRequest (recorder: Recorder, shape: RequestShape): void {
  const prompt = promptOf(shape)
  const number = recorder.entries.length
  const leader = asSequenceId(`s${number}.0`)
  for (let choice = 0; choice < shape.choices; choice++) {
    recorder.add({
      id: asSequenceId(`s${number}.${choice}`),
      tenant: asTenantId(`tenant-${shape.tenant}`),
      priority: shape.priority,
      weight: shape.weight,
      adapters: adapterSets[shape.adapters % adapterSets.length]!,
      prompt,
      maxTokens: shape.maxTokens,
      sampling: {
        ...(shape.seed === null ? greedySampling : defaultSampling(shape.seed + choice)),
        ignoreEos: shape.ignoresEos,
        logitBias: shape.isRepetitive ? [[70, 30], [71, 30], [recorder.engine.info.endTokens[0]!, 29]] : [],
        logprobs: shape.seed === null ? 1 : null
      },
      ...(choice === 0 ? {} : { sharesPromptWith: leader }),
      queueDeadline: recorder.now + shape.queueTimeoutMs,
      deadline: recorder.now + shape.timeoutMs
    })
  }
}

/** Prompts of one family start alike, up to the length they share. */
function promptOf ({ family, sharedLength, ownTokens }: RequestShape): Token[] {
  const shared = Array.from({ length: sharedLength }, (_, position) => asToken((family * 50 + position) % 256))
  return [...shared, ...ownTokens.map((token) => asToken(token))]
}
