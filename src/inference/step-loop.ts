import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { asLaneId, type LaneId, type Millis } from '../domain/ids.ts'
import type { Engine } from '../engine/engine.ts'
import { planSize, type StepPlan, type WorkOutcome } from '../scheduler/plan.ts'
import type { EmbeddingTurn } from '../scheduler/embedding-queue.ts'
import type { SequenceEvent } from '../scheduler/scheduler-types.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'

/** How often deadlines are looked at while no step ends. */
const EXPIRY_INTERVAL_MS = 100

/**
 * Where a step takes less than a millisecond, telling of each token by itself takes longer than drawing it, here, in the server and in the
 * client. Nobody reads a thousand tokens per second one by one: they are gathered for so long.
 */
const DEFAULT_GATHER_MS = 2
const FAST_STEP_MS = 1

/** Inputs that become vectors, in turns with the steps. */
export interface EmbeddingTurns {
  /** Lanes that take part, from the first one on. */
  readonly laneCount: number
  /** Whose turn it is; null when there is nothing to embed. */
  next (): EmbeddingTurn | null
  commit (turn: EmbeddingTurn, outcome: Float32Array | Error): void
  /** Ends what waited too long. */
  expire (): void
}

export interface StepLoopParts {
  readonly scheduler: Scheduler
  /** Absent where there are none. */
  readonly embeddings?: EmbeddingTurns
  readonly engine: Engine
  /** Monotonic. The only clock behind the scheduler. */
  readonly now: () => Millis
  /** Takes events in the order in which they happened. Must not throw. */
  readonly onEvents: (events: readonly SequenceEvent[]) => void
  /** How long tokens of steps that take less than a millisecond are gathered; 0 tells of each as soon as it is there. */
  readonly gatherMs?: Millis
  /** A step that was lost as a whole; its sequences have failed. */
  readonly onStepLost: (plan: StepPlan, error: Error) => void
}

/**
 * Drives the engine: one loop per lane, each `schedule -> step -> commit`. While a lane decodes, the events of its last
 * step are handed on, so that detokenizing and sending cost no time between decodes. Between two steps there is at most one input that
 * becomes a vector, so that streams wait for one at a time.
 */
export class StepLoop {
  readonly #parts: StepLoopParts
  readonly #lanes: readonly Promise<void>[]
  readonly #expiry: NodeJS.Timeout
  /** Lanes without work, each by the function that wakes it. */
  readonly #sleepers = new Set<() => void>()
  /** Counts calls of `wake`, so that one between a lane's look for work and its falling asleep is not missed. */
  #wakes = 0
  /** Of all lanes, in the order in which they happened. */
  #undelivered: SequenceEvent[] = []
  #deliveredAt: Millis = -Infinity
  /** Of the latest step that ended. */
  #lastStepMs: Millis = Infinity
  #isClosed = false
  #stepSeconds = 0

  constructor (parts: StepLoopParts) {
    this.#parts = parts
    this.#expiry = setInterval(() => {
      this.#expire()
      this.#deliver()
    }, EXPIRY_INTERVAL_MS)
    this.#expiry.unref()
    this.#lanes = Array.from({ length: parts.engine.info.laneCount }, (_, index) => this.#run(asLaneId(index)))
  }

  /** Time that steps took, summed over lanes. */
  get stepSeconds (): number { return this.#stepSeconds }

  /** There may be work for lanes that had none. */
  wake (): void {
    this.#wakes++
    for (const wakeLane of this.#sleepers) wakeLane()
    this.#sleepers.clear()
  }

  /** Takes no further step; settles when those under way have ended. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#expiry)
    this.wake()
    await Promise.all(this.#lanes)
  }

  async #run (lane: LaneId): Promise<void> {
    const { scheduler, now } = this.#parts
    let isEmbeddingTurn = true
    for (;;) {
      // What came in meanwhile (requests, disconnects) comes before the next plan.
      await yieldToEventLoop()
      if (this.#isClosed) break
      this.#expire()
      const wakes = this.#wakes
      const turn = isEmbeddingTurn ? this.#nextEmbedding(lane) : null
      if (turn !== null) {
        await this.#embed(lane, turn)
        isEmbeddingTurn = false
        continue
      }
      const wasStepTurn = !isEmbeddingTurn
      isEmbeddingTurn = true
      const plan = scheduler.schedule(lane, now())
      if (plan === null) {
        this.#deliver()
        if (wasStepTurn) continue
        // Delivering may have brought work: a stop text frees a slot.
        if (this.#wakes === wakes) await new Promise<void>((resolve) => this.#sleepers.add(resolve))
        continue
      }
      const startedAt = now()
      const stepping = this.#step(plan)
      if (!this.#mayGather(plan, startedAt)) this.#deliver()
      const outcomes = await stepping
      const endedAt = now()
      this.#lastStepMs = endedAt - startedAt
      this.#stepSeconds += this.#lastStepMs / 1000
      this.#undelivered.push(...scheduler.commit(plan, outcomes, endedAt))
      // Slots and threads that became free here may be given to any lane.
      if (scheduler.waitingCount > 0 || scheduler.isLaneWaiting) this.wake()
    }
    this.#deliver()
  }

  #nextEmbedding (lane: LaneId): EmbeddingTurn | null {
    const { embeddings } = this.#parts
    return embeddings === undefined || lane >= embeddings.laneCount ? null : embeddings.next()
  }

  async #embed (lane: LaneId, turn: EmbeddingTurn): Promise<void> {
    const { embeddings, engine, now } = this.#parts
    const startedAt = now()
    const embedding = engine.embed(lane, turn.tokens).catch((error: unknown) => error instanceof Error ? error : new Error(String(error)))
    this.#deliver()
    const outcome = await embedding
    this.#stepSeconds += (now() - startedAt) / 1000
    embeddings?.commit(turn, outcome)
  }

  async #step (plan: StepPlan): Promise<readonly WorkOutcome[]> {
    try {
      return await this.#parts.engine.step(plan)
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      this.#parts.onStepLost(plan, error)
      return plan.work.map(({ slot }) => ({ slot, error }))
    }
  }

  #expire (): void {
    this.#parts.embeddings?.expire()
    const events = this.#parts.scheduler.expire(this.#parts.now())
    if (events.length === 0) return
    this.#undelivered.push(...events)
    this.wake()
  }

  /** Whether what there is to tell can wait for what the step brings that has begun. */
  #mayGather (plan: StepPlan, now: Millis): boolean {
    const { gatherMs = DEFAULT_GATHER_MS } = this.#parts
    return this.#lastStepMs < FAST_STEP_MS && now - this.#deliveredAt < gatherMs && planSize(plan).promptTokens === 0 &&
      this.#undelivered.every(({ type }) => type === 'token-drawn')
  }

  #deliver (): void {
    if (this.#undelivered.length === 0) return
    this.#deliveredAt = this.#parts.now()
    const events = this.#undelivered
    this.#undelivered = []
    this.#parts.onEvents(events)
  }
}
