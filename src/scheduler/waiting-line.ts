import { ServerError } from '../domain/errors.ts'
import type { Millis, SequenceId } from '../domain/ids.ts'
import type { AdmissionPolicy } from './policies/admission.ts'
import type { SchedulerConfig } from './scheduler-types.ts'
import type { Sequence } from './sequence.ts'
import { ServiceRate } from './service-rate.ts'

export type WaitingLimits = Pick<SchedulerConfig, 'maxQueue' | 'maxQueuePerTenant' | 'maxQueueTokens'>

/** One that was pushed out of a full line, and what it is told. */
export interface TurnedAway {
  readonly sequence: Sequence
  readonly error: ServerError
}

/**
 * The sequences without a slot, and how many there may be. In which order they are served, and who has to go when there are too many,
 * is for the admission policy to say.
 *
 * Those that lost their slot are not counted: they come back first, and nobody is turned away for them.
 */
export class WaitingLine {
  /** How fast sequences leave their slots, to say when to come back. */
  readonly serviceRate = new ServiceRate()
  #limits: WaitingLimits
  readonly #admission: AdmissionPolicy
  /** In order of arrival, or of losing their slot. */
  readonly #sequences = new Map<SequenceId, Sequence>()
  /** Prompts of those that never had a slot. */
  #tokens = 0
  #displacedCount = 0

  constructor (limits: WaitingLimits, admission: AdmissionPolicy) {
    this.#limits = limits
    this.#admission = admission
  }

  get size (): number { return this.#sequences.size }

  /** Holds for those that come from now on. */
  limit (limits: WaitingLimits): void {
    this.#limits = limits
  }

  /** Of those that wait, they had a slot and lost it. */
  get displacedCount (): number { return this.#displacedCount }

  get sequences (): Iterable<Sequence> { return this.#sequences.values() }

  has (id: SequenceId): boolean { return this.#sequences.has(id) }

  get (id: SequenceId): Sequence | undefined { return this.#sequences.get(id) }

  /** It waits from now on: it came, or it lost its slot. */
  join (sequence: Sequence, now: Millis): void {
    this.#sequences.set(sequence.id, sequence)
    if (sequence.wasAdmitted) this.#displacedCount++
    else this.#tokens += sequence.promptLength
    this.#admission.join(sequence, now)
  }

  /** It waits no more: it is about to have a slot, or has ended. */
  leave (sequence: Sequence): void {
    if (!this.#sequences.delete(sequence.id)) return
    if (sequence.wasAdmitted) this.#displacedCount--
    else this.#tokens -= sequence.promptLength
    this.#admission.leave(sequence)
  }

  /**
   * Sees whether the sequences of one request, which have one tenant, can join.
   * @param idleSlots over all lanes: those that the next plan gives one do not wait
   * @returns who has to leave for that; they are still in the line.
   * @throws ServerError `queue_full`
   */
  makeRoom (newcomers: readonly Sequence[], idleSlots: number, now: Millis): readonly TurnedAway[] {
    const { maxQueue, maxQueuePerTenant = Infinity, maxQueueTokens = Infinity } = this.#limits
    const freeSlots = Math.max(0, idleSlots - this.#displacedCount)
    const waiting = this.#sequences.size - this.#displacedCount - freeSlots
    const wanted = newcomers.length === 1 ? '' : ` and this one asks for ${newcomers.length} choices`
    const ofTenant = waiting <= 0 ? 0 : Math.min(waiting, this.#countOfTenant(newcomers))
    if (ofTenant > 0 && ofTenant + newcomers.length > maxQueuePerTenant) {
      throw this.#queueFull(`${ofTenant} of your requests are waiting${wanted}; the limit is ${maxQueuePerTenant} for each user`, ofTenant + newcomers.length - maxQueuePerTenant, now)
    }
    const tokens = tokensOf(newcomers)
    const waitingTokens = waiting <= 0 ? 0 : this.#tokensBeyond(freeSlots)
    // A prompt that is longer than the limit waits alone.
    const isRoom = (turnedAway: readonly Sequence[]): boolean => waiting + newcomers.length - turnedAway.length <= maxQueue &&
      (waiting - turnedAway.length <= 0 || waitingTokens + tokens - tokensOf(turnedAway) <= maxQueueTokens)
    if (isRoom([])) return []
    const turnedAway = this.#admission.makeRoom(newcomers, isRoom)
    const missingPlaces = waiting + newcomers.length - maxQueue
    const limit = missingPlaces > 0 ? `${maxQueue}` : `${maxQueueTokens} tokens, and their prompts have ${waitingTokens}`
    if (!isRoom(turnedAway)) {
      throw this.#queueFull(`${areWaiting(waiting)}${wanted}; the limit is ${limit}`, Math.max(1, missingPlaces), now)
    }
    return turnedAway.map((sequence) => ({
      sequence,
      error: this.#queueFull(`${areWaiting(waiting)}, and others go first or have fewer of them; the limit is ${limit}`, 1, now)
    }))
  }

  /** Prompts, but for so many that are given a slot: the longest, so that nobody is turned away for those. */
  #tokensBeyond (freeSlots: number): number {
    if (freeSlots === 0 || this.#limits.maxQueueTokens === undefined) return this.#tokens
    const lengths: number[] = []
    for (const { promptLength, wasAdmitted } of this.#sequences.values()) if (!wasAdmitted) lengths.push(promptLength)
    return lengths.sort((a, b) => b - a).slice(freeSlots).reduce((sum, length) => sum + length, 0)
  }

  /** How many are of the newcomers' tenant; not counted where there is no limit to them. */
  #countOfTenant ([first]: readonly Sequence[]): number {
    if (first === undefined || this.#limits.maxQueuePerTenant === undefined) return 0
    let count = 0
    for (const { request, wasAdmitted } of this.#sequences.values()) if (!wasAdmitted && request.tenant === first.request.tenant) count++
    return count
  }

  /** Come back when there are the places that are missing, and some for others who were turned away too. */
  #queueFull (message: string, missingPlaces: number, now: Millis): ServerError {
    this.serviceRate.advance(now)
    const retryAfterMs = this.serviceRate.timeFor(missingPlaces + this.#limits.maxQueue / 8) ?? undefined
    return new ServerError('queue_full', message, { retryAfterMs })
  }
}

const areWaiting = (count: number): string => count === 1 ? '1 request is waiting' : `${Math.max(0, count)} requests are waiting`

const tokensOf = (sequences: readonly Sequence[]): number => sequences.reduce((sum, { promptLength }) => sum + promptLength, 0)
