import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { CallTimes } from './call-times.ts'
import type { EventQueue } from './event-queue.ts'
import type { GenerationEvent, GenerationRequest } from './inference.ts'
import { decodeEvent, type ReplyValue, type ServerMessage, wireCode, type WireFailure, type WireGenerationEvent } from './protocol.ts'

/** A call of the server's that an engine process has to answer, and that outlives the process if it must. */
export interface RemoteCall {
  readonly number: number
  /** How many sequences it adds to a queue. */
  readonly weight: number
  /** To how many processes it was sent. */
  sends: number
  /** Called once, when it has ended in whatever way. */
  onEnd: (() => void) | null
  /** Whether the answer has not begun, so that another process can give it from the start. */
  readonly canBeResent: boolean
  /** Ends it while it waits for a process; null as long as it may wait on. */
  waitingFailure (now: Millis): ServerError | null
  /** Ends it although an engine process has it: the process should have done so itself. */
  overdueFailure (now: Millis): ServerError | null
  message (now: Millis): ServerMessage
  /** The process that had it is gone; from now on it waits for the next. */
  park (now: Millis): void
  fail (error: ServerError): void
}

/** One request of `generate`. */
export class GenerationCall implements RemoteCall {
  readonly number: number
  readonly request: GenerationRequest
  readonly events: EventQueue<GenerationEvent>
  readonly #times: CallTimes
  sends = 0
  onEnd: (() => void) | null = null
  #isAccepted = false
  readonly #startedChoices = new Set<number>()
  #startedInProcess = 0
  #hasBegun = false

  constructor (number: number, request: GenerationRequest, events: EventQueue<GenerationEvent>, now: Millis) {
    this.number = number
    this.request = request
    this.events = events
    this.#times = new CallTimes(request, now)
  }

  get weight (): number { return this.request.choices }

  /** Choices that have no slot yet in the process that has the call. */
  get unstartedChoices (): number { return this.weight - this.#startedInProcess }

  /** A choice that ended without a text has also begun: the end may have been seen. */
  get canBeResent (): boolean { return !this.#hasBegun }

  waitingFailure (now: Millis): ServerError | null { return this.#times.waitingFailure(now) }

  overdueFailure (now: Millis): ServerError | null { return this.#times.overdueFailure(now) }

  /** What is left of its times goes with it. */
  message (now: Millis): ServerMessage {
    return { type: 'generate', call: this.number, request: { ...this.request, ...this.#times.left(now) } }
  }

  /** @returns whether it was the call's last event. */
  take (wire: WireGenerationEvent | WireFailure): boolean {
    switch (wire[1]) {
      case wireCode.failed:
        this.fail(ServerError.deserialize(wire[2]))
        return true
      case wireCode.finished:
        this.events.push(decodeEvent(wire))
        this.events.end()
        return true
      case wireCode.accepted:
        // A second process accepts it a second time; the reader is told once.
        if (this.#isAccepted) return false
        this.#isAccepted = true
        break
      case wireCode.started:
        this.#startedInProcess++
        if (this.#startedChoices.has(wire[2])) return false
        this.#startedChoices.add(wire[2])
        break
      case wireCode.text:
      case wireCode.choiceFinished:
        this.#hasBegun = true
        break
    }
    this.events.push(decodeEvent(wire))
    return false
  }

  park (now: Millis): void {
    this.#times.park(now)
    this.#startedInProcess = 0
  }

  fail (error: ServerError): void { this.events.fail(error) }
}

/** A call with one answer: tokenize, detokenize, adapters. It can always be sent again. */
export class ReplyCall implements RemoteCall {
  readonly number: number
  readonly weight = 1
  readonly canBeResent = true
  readonly #message: ServerMessage
  readonly #timeoutMs: Millis
  readonly #resolve: (value: ReplyValue) => void
  readonly #reject: (error: ServerError) => void
  #waitingSince: Millis
  sends = 0
  onEnd: (() => void) | null = null

  constructor (
    message: Extract<ServerMessage, { readonly call: number }>, timeoutMs: Millis, now: Millis,
    resolve: (value: ReplyValue) => void, reject: (error: ServerError) => void
  ) {
    this.number = message.call
    this.#message = message
    this.#timeoutMs = timeoutMs
    this.#waitingSince = now
    this.#resolve = resolve
    this.#reject = reject
  }

  waitingFailure (now: Millis): ServerError | null {
    if (now - this.#waitingSince < this.#timeoutMs) return null
    return new ServerError('queue_timeout',
      `The engine process of the model is being restarted; the call waited ${this.#timeoutMs} ms for it`)
  }

  overdueFailure (): null { return null }

  message (): ServerMessage { return this.#message }

  park (now: Millis): void { this.#waitingSince = now }

  resolve (value: ReplyValue): void { this.#resolve(value) }

  fail (error: ServerError): void { this.#reject(error) }
}
