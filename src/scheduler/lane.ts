import type { AdapterSetKey } from '../domain/adapter-set.ts'
import type { LaneId, Millis, SequenceId, Token } from '../domain/ids.ts'
import { runsOf } from '../domain/runs-of.ts'
import { planSize, type StepPlan, type WorkOutcome } from './plan.ts'
import { Rhythm } from './policies/rhythm.ts'
import { Speculation } from './policies/speculation.ts'
import { StepFill } from './policies/step-fill.ts'
import { ThreadCounts, type ThreadCount } from './policies/thread-count.ts'
import { Turns } from './policies/turns.ts'
import type { SchedulerConfig } from './scheduler-types.ts'
import type { Sequence } from './sequence.ts'
import { besidesMs, draftOf } from './step-outcome.ts'

/** What a lane does now, what its engine has not been told yet, and what was learned from its steps. */
export class Lane {
  readonly id: LaneId
  readonly turns: Turns
  readonly rhythm: Rhythm
  readonly fill: StepFill
  /** Null where nothing is guessed. */
  readonly speculation: Speculation | null
  readonly #threadCounts = new ThreadCounts()
  #threadCount: ThreadCount
  #isWaitingForThreads = false
  #inFlight: StepPlan | null = null
  #inFlightSince: Millis = 0
  readonly #readingStepsOf = new Map<AdapterSetKey, number>()
  #released: SequenceId[] = []
  #preempted: SequenceId[] = []

  constructor (id: LaneId, config: SchedulerConfig, endTokens: ReadonlySet<Token>) {
    const { mostGuesses = 0, hasDraftModel = false } = config
    this.id = id
    this.#threadCount = this.#threadCounts.upTo(config.threads)
    this.turns = new Turns(config.turnSteps)
    this.rhythm = new Rhythm(config.targetItlMs)
    this.fill = new StepFill(config.slotsPerLane)
    this.speculation = mostGuesses === 0 ? null : new Speculation({ ...config, mostGuesses, hasDraftModel, endTokens })
  }

  /** For the share of the threads that it had last. */
  get threadCount (): ThreadCount { return this.#threadCount }

  /** It has work, and other lanes have all threads. */
  get isWaitingForThreads (): boolean { return this.#isWaitingForThreads }

  /** The plan that is being carried out. */
  get inFlight (): StepPlan | null { return this.#inFlight }

  /**
   * So many of its steps with one of the adapter sets that have work in it have read prompts. Each set has its own count, since every fourth
   * step of a lane may always be one of the same set.
   */
  readingStepsOf (key: AdapterSetKey): number { return this.#readingStepsOf.get(key) ?? 0 }

  /** The counts of other sets it forgets. */
  keepStepsOf (sets: ReadonlyMap<AdapterSetKey, unknown>): void {
    for (const key of this.#readingStepsOf.keys()) if (!sets.has(key)) this.#readingStepsOf.delete(key)
  }

  /**
   * Its next step may have so many threads; null when it has no work.
   * @returns whether there is a step; with work but no thread it waits for other lanes'.
   */
  shareThreads (threads: number | null): boolean {
    this.#isWaitingForThreads = threads === 0
    if (threads === null || threads === 0) return false
    this.#threadCount = this.#threadCounts.upTo(threads)
    return true
  }

  /** It ended: the engine is told with the next plan. */
  noteReleased (id: SequenceId): void { this.#released.push(id) }

  /** It lost its slot: the engine is told with the next plan. */
  notePreempted (id: SequenceId): void { this.#preempted.push(id) }

  /** For the next plan; what this says once it does not say again. */
  takeNews (): Pick<StepPlan, 'released' | 'preempted'> {
    const [released, preempted] = [this.#released, this.#preempted]
    this.#released = []
    this.#preempted = []
    return { released, ...(preempted.length === 0 ? {} : { preempted }) }
  }

  /** The plan is being carried out from now on. */
  begin (plan: StepPlan, now: Millis): void {
    const { key } = plan.adapters
    if (planSize(plan).promptTokens > 0) this.#readingStepsOf.set(key, this.readingStepsOf(key) + 1)
    this.#inFlight = plan
    this.#inFlightSince = now
  }

  /** The plan was carried out. */
  end (plan: StepPlan, outcomes: readonly WorkOutcome[], now: Millis): void {
    if (this.#inFlight !== plan) throw new Error(`Plan ${plan.id} is not being carried out`)
    this.#inFlight = null
    // A step that failed, or lost a cache, did not do all that was planned, and tells nothing.
    if (plan.work.length > 0 && outcomes.every((outcome) => 'token' in outcome)) this.#learn(plan, outcomes, now)
  }

  isServing (sequence: Sequence): boolean {
    return this.#inFlight !== null && this.#inFlight.work.some((item) => item.sequence === sequence.id)
  }

  /** What steps take. */
  #learn (plan: StepPlan, outcomes: readonly WorkOutcome[], now: Millis): void {
    const step = { ...planSize(plan), durationMs: Math.max(0, now - this.#inFlightSince - besidesMs(outcomes)) }
    // A trial's steps, which only decode, do not tell what others take.
    const isOfTrial = step.promptTokens === 0 && this.#threadCount.isTrying
    if (step.promptTokens === 0 && !isOfTrial && this.speculation !== null) {
      const draft = draftOf(outcomes)
      const guesses = plan.work.reduce((sum, { guessCount = 0 }) => sum + guessCount, draft.count)
      this.speculation.learn(step.decodes, guesses, step.durationMs, draft)
    }
    if (step.guesses > 0) return
    if (!isOfTrial) this.turns.learn(step)
    if (!isOfTrial) this.rhythm.learn(step)
    if (!isOfTrial && step.promptTokens === 0 && runsOf(plan.work.map(({ slot }) => slot)).length === 1) this.fill.learn(step.decodes, step.durationMs)
    this.#threadCount.learn(step, now)
  }
}

export function laneOf (lanes: readonly Lane[], id: LaneId): Lane {
  const lane = lanes[id]
  if (lane === undefined) throw new RangeError(`Lane ${id} does not exist; there are ${lanes.length}`)
  return lane
}
