import { ServerError, type ErrorCode } from '../../src/domain/errors.ts'
import { asLaneId, asSequenceId, type LaneId, type Millis, type SequenceId, type Token } from '../../src/domain/ids.ts'
import { defaultSampling } from '../../src/domain/sampling.ts'
import { mixSeed } from '../../src/domain/seed.ts'
import { PlanChecker } from '../../src/engine/fake/plan-checker.ts'
import type { SlotCache } from '../../src/engine/fake/slot-cache.ts'
import { stepDuration, type StepCosts } from '../../src/engine/fake/step-latency.ts'
import { guessesOf, planSize, type SlotWork, type StepPlan, type WorkOutcome } from '../../src/scheduler/plan.ts'
import { Scheduler } from '../../src/scheduler/scheduler.ts'
import type { SchedulerConfig, SchedulerSnapshot, SequenceEvent } from '../../src/scheduler/scheduler-types.ts'
import { decodeDuration, decodeRuns, type CostFit } from '../engine/step-costs.ts'
import { Departures } from './departures.ts'
import type { EventLog } from './event-log.ts'
import type { Histogram } from './histogram.ts'
import { Ledger, type Crowd } from './ledger.ts'
import { adapterSets, createWorkload, endToken, floodTenant, textToken, vocabularySize, type SimulatedRequest, type WorkloadOptions } from './workload.ts'

export interface SimulationOptions extends Omit<SchedulerConfig, 'endTokens'>, WorkloadOptions, StepCosts {
  /** What steps that decode so many sequences take, where that was measured; it takes the place of `decodeTokenMs`. */
  readonly decodeSteps: CostFit['decodeSteps'] | null
  /** What a step costs on top when its adapters are not those of the lane's last step. */
  readonly adapterSwitchMs: Millis
  /** Share of the answers' tokens that repeat what stood some tokens before, 0 to 1. */
  readonly quoteShare: number
  readonly queueTimeoutMs: Millis
  readonly requestTimeoutMs: Millis
}

export interface SimulationResult {
  readonly virtualMs: Millis
  /** At the end. */
  readonly snapshot: SchedulerSnapshot
  readonly queueMs: Histogram
  readonly firstTokenMs: Histogram
  /** The same, of the flooding tenant, of batch work, and of all others. */
  readonly firstTokenMsOf: Readonly<Record<Crowd, Histogram>>
  readonly tokenGapMs: Histogram
  /** Shares of the time, 0 to 1. */
  readonly slotUtilisation: number
  readonly laneUtilisation: number
  readonly adapterSwitches: number
  /** How many sequences were refused or failed, by code. */
  readonly errors: ReadonlyMap<ErrorCode, number>
  readonly leftEarly: number
}

/** How far back a quoted token stands. */
const quoteDistance = 40

/** Tests put a broken scheduler in its place to see that the laws are really checked. */
export type CreateScheduler = (config: SchedulerConfig) => Scheduler

interface Lane {
  readonly id: LaneId
  plan: StepPlan | null
  endsAt: Millis
  adapters: string
}

/**
 * Runs the production scheduler in virtual time: no engine, no timers, only costs. Every plan goes through the fake
 * engine's checker (laws 1 to 5; and since it compares each slot's content with the sequence's history, and a token here
 * is a function of that content alone, law 9), every event through the ledger (laws 6 and 7).
 *
 * @throws PlanViolation, LawViolation at the first law that does not hold
 */
export function simulate (
  options: SimulationOptions,
  log: EventLog,
  createScheduler: CreateScheduler = (config) => new Scheduler(config)
): SimulationResult {
  return new Simulation(options, log, createScheduler).run()
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #log: EventLog
  readonly #scheduler: Scheduler
  readonly #checker: PlanChecker
  readonly #ledger: Ledger
  readonly #lanes: readonly Lane[]
  /** How long the answers will be. */
  readonly #answerTokens = new Map<SequenceId, number>()
  readonly #leaving = new Departures<readonly SequenceId[]>()
  readonly #errors = new Map<ErrorCode, number>()
  readonly #baseSampling = defaultSampling(0)
  #now: Millis = 0
  #busySlotMs = 0
  #busyLaneMs = 0
  #adapterSwitches = 0
  #leftEarly = 0

  constructor (options: SimulationOptions, log: EventLog, createScheduler: CreateScheduler) {
    this.#options = options
    this.#log = log
    this.#scheduler = createScheduler({ ...options, endTokens: [endToken] })
    const loaded = new Set(adapterSets(options.adapters).flatMap((set) => set.adapters.map((adapter) => adapter.name)))
    this.#checker = new PlanChecker({
      ...options,
      maxStepTokens: options.stepTokens,
      vocabularySize,
      isAdapterLoaded: (adapter) => loaded.has(adapter.name)
    })
    const setsInLane = Math.min(options.adapters + 1, options.slotsPerLane)
    this.#ledger = new Ledger((setsInLane - 1) * options.turnSteps)
    this.#lanes = Array.from({ length: options.laneCount }, (_, index): Lane =>
      ({ id: asLaneId(index), plan: null, endsAt: Infinity, adapters: '' }))
  }

  run (): SimulationResult {
    const arrivals = createWorkload(this.#options)
    let arrival = arrivals.next()
    for (;;) {
      let next = Math.min(arrival.done === true ? Infinity : arrival.value.arrivalMs, this.#leaving.nextMs)
      for (const lane of this.#lanes) next = Math.min(next, lane.endsAt)
      if (next === Infinity) break
      this.#advance(next)
      for (const lane of this.#lanes) if (lane.endsAt <= next) this.#commit(lane)
      while (this.#leaving.nextMs <= next) this.#leave(this.#leaving.take())
      while (arrival.done !== true && arrival.value.arrivalMs <= next) {
        this.#arrive(arrival.value)
        arrival = arrivals.next()
      }
      this.#report(this.#scheduler.expire(next), 'x')
      for (const lane of this.#lanes) if (lane.plan === null) this.#schedule(lane)
    }
    this.#ledger.close()
    return this.#result()
  }

  #advance (now: Millis): void {
    this.#busySlotMs += this.#ledger.busySlots * (now - this.#now)
    this.#now = now
  }

  #arrive (request: SimulatedRequest): void {
    const { number, answerTokens, prompt, adapters, tenant, priority, leavesAfterMs } = request
    const ids: SequenceId[] = []
    for (const [choice, length] of answerTokens.entries()) {
      const id = asSequenceId(`${number}.${choice}`)
      this.#log.write(`+ ${this.#now.toFixed(3)} ${id} ${tenant} '${adapters.key}' ${prompt.length}>${length}`)
      let pushedOut: readonly SequenceEvent[]
      try {
        pushedOut = this.#scheduler.add({
          id,
          tenant,
          priority,
          adapters,
          prompt,
          maxTokens: null,
          sampling: this.#baseSampling,
          ...(choice === 0 ? {} : { sharesPromptWith: asSequenceId(`${number}.0`) }),
          // As the server has it: what fills idle time waits for it.
          queueDeadline: this.#now + (priority === 'batch' ? this.#options.requestTimeoutMs : this.#options.queueTimeoutMs),
          deadline: this.#now + this.#options.requestTimeoutMs
        }, this.#now)
      } catch (error) {
        if (!(error instanceof ServerError)) throw error
        this.#count(error.code)
        this.#log.write(`! ${id} ${error.code}`)
        continue
      }
      this.#ledger.add(id, tenant === floodTenant ? 'flood' : priority === 'batch' ? 'batch' : 'others', priority === 'batch', prompt.length, this.#now)
      this.#answerTokens.set(id, length)
      ids.push(id)
      this.#report(pushedOut, `! ${id}`)
    }
    if (leavesAfterMs !== null) this.#leaving.add(this.#now + leavesAfterMs, ids)
  }

  #leave (ids: readonly SequenceId[]): void {
    for (const id of ids) {
      if (!this.#ledger.isLive(id)) continue
      this.#log.write(`- ${this.#now.toFixed(3)} ${id}`)
      this.#scheduler.abort(id)
      this.#ledger.end(id)
      this.#answerTokens.delete(id)
      this.#leftEarly++
    }
  }

  #schedule (lane: Lane): void {
    const plan = this.#scheduler.schedule(lane.id, this.#now)
    if (plan === null) return
    this.#checker.begin(plan)
    this.#ledger.plan(plan, this.#now)
    const isSwitch = plan.adapters.key !== lane.adapters
    if (isSwitch) this.#adapterSwitches++
    lane.adapters = plan.adapters.key
    const duration = this.#durationOf(plan) + (isSwitch ? this.#options.adapterSwitchMs : 0)
    lane.plan = plan
    lane.endsAt = this.#now + duration
    this.#busyLaneMs += duration
    this.#log.write(this.#describe(plan))
  }

  #durationOf (plan: StepPlan): Millis {
    const { decodeSteps, stepMs, prefillTokenMs } = this.#options
    if (decodeSteps === null) return stepDuration(plan, this.#options)
    const { guesses, promptTokens } = planSize(plan)
    const decodeMs = decodeRuns(plan).reduce((sum, decodes) => sum + decodeDuration(decodeSteps, stepMs, decodes), 0)
    return (decodeMs === 0 ? stepMs : decodeMs) + prefillTokenMs * (promptTokens + guesses)
  }

  #describe (plan: StepPlan): string {
    let line = `> ${this.#now.toFixed(3)} ${plan.id} ${plan.lane} ${plan.threads} '${plan.adapters.key}'`
    for (const { slot, sequence, copyFrom, keep, tokens, guessCount = 0, sample } of plan.work) {
      line += ` ${slot}:${sequence}:${copyFrom === undefined ? '' : `${copyFrom}@`}${keep}+${tokens.length}`
      if (guessCount > 0) line += `?${guessCount}`
      if (sample !== undefined) line += `*${sample.index}`
    }
    return line
  }

  #commit (lane: Lane): void {
    const plan = lane.plan!
    const outcomes = plan.work.map((work): WorkOutcome => {
      if (work.sample === undefined) return { slot: work.slot, token: null }
      const [first, ...further] = this.#drawAlong(work, work.sample.index)
      this.#checker.drawn(work, first!, ...further)
      return { slot: work.slot, token: first!, ...(further.length === 0 ? {} : { further: further.map((token) => ({ token })) }) }
    })
    this.#checker.end(plan)
    lane.plan = null
    lane.endsAt = Infinity
    this.#report(this.#scheduler.commit(plan, outcomes, this.#now), `< ${plan.id}`)
  }

  /** Whoever has left meanwhile is drawn tokens all the same; the scheduler drops them. */
  #drawAlong (work: SlotWork, index: number): readonly Token[] {
    const cache = this.#checker.cache(work.slot)
    const guesses = guessesOf(work)
    const drawn: Token[] = []
    for (let length = cache.length - guesses.length; length <= cache.length; length++) {
      const isLast = index + drawn.length + 1 >= (this.#answerTokens.get(work.sequence) ?? Infinity)
      const token = isLast ? endToken : this.#textAfter(cache, length)
      drawn.push(token)
      if (token !== guesses[drawn.length - 1]) break
    }
    return drawn
  }

  /** A function of what stands before alone; now and then the token that stood `quoteDistance` tokens ago. */
  #textAfter (cache: SlotCache, length: number): Token {
    const hash = cache.hashAt(length)
    const quoted = cache.tokens[length - quoteDistance]
    return quoted !== undefined && mixSeed(hash, 1) < this.#options.quoteShare * 2 ** 32 ? quoted : textToken(hash)
  }

  #report (events: readonly SequenceEvent[], cause: string): void {
    if (events.length === 0) return
    let line = `${cause} ${this.#now.toFixed(3)}`
    for (const event of events) {
      this.#ledger.event(event, this.#now)
      line += ` ${event.id}`
      switch (event.type) {
        case 'sequence-started': { line += `@${event.slot}/${event.cachedTokens}`; break }
        case 'token-drawn': { line += `=${event.token}`; break }
        case 'prediction-rejected': { line += `-${event.tokens}`; break }
        case 'sequence-finished': { line += `.${event.reason}`; break }
        case 'sequence-failed': {
          line += `!${event.error.code}`
          this.#count(event.error.code)
        }
      }
      if (event.type === 'sequence-finished' || event.type === 'sequence-failed') this.#answerTokens.delete(event.id)
    }
    this.#log.write(line)
  }

  #count (code: ErrorCode): void { this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1) }

  #result (): SimulationResult {
    const { laneCount, slotsPerLane } = this.#options
    const { queueMs, firstTokenMs, firstTokenMsOf, tokenGapMs } = this.#ledger
    const elapsed = Math.max(this.#now, Number.MIN_VALUE)
    return {
      virtualMs: this.#now,
      snapshot: this.#scheduler.snapshot(),
      queueMs,
      firstTokenMs,
      firstTokenMsOf,
      tokenGapMs,
      slotUtilisation: this.#busySlotMs / (elapsed * laneCount * slotsPerLane),
      laneUtilisation: this.#busyLaneMs / (elapsed * laneCount),
      adapterSwitches: this.#adapterSwitches,
      errors: this.#errors,
      leftEarly: this.#leftEarly
    }
  }
}
