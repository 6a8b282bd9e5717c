import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { CallTimes } from './call-times.ts'
import type { EventQueue } from './event-queue.ts'
import type { EmbeddingEvent, EmbeddingRequest } from './inference.ts'
import { decodeEmbeddingEvent, type ServerMessage, wireCode, type WireEmbeddingEvent, type WireFailure } from './protocol.ts'
import type { RemoteCall } from './remote-call.ts'

/** One request of `embed`. It can always be sent again: another process makes the same vectors, and those told are not told twice. */
export class EmbeddingCall implements RemoteCall {
  readonly number: number
  readonly weight = 1
  readonly canBeResent = true
  readonly #request: EmbeddingRequest
  readonly #events: EventQueue<EmbeddingEvent>
  readonly #times: CallTimes
  sends = 0
  onEnd: (() => void) | null = null
  #isAccepted = false
  readonly #embedded = new Set<number>()

  constructor (number: number, request: EmbeddingRequest, events: EventQueue<EmbeddingEvent>, now: Millis) {
    this.number = number
    this.#request = request
    this.#events = events
    this.#times = new CallTimes(request, now)
  }

  waitingFailure (now: Millis): ServerError | null { return this.#times.waitingFailure(now) }

  overdueFailure (now: Millis): ServerError | null { return this.#times.overdueFailure(now) }

  /** What is left of its times goes with it. */
  message (now: Millis): ServerMessage {
    return { type: 'embed', call: this.number, request: { ...this.#request, ...this.#times.left(now) } }
  }

  /** @returns whether it was the call's last event. */
  take (wire: WireEmbeddingEvent | WireFailure): boolean {
    switch (wire[1]) {
      case wireCode.failed:
        this.fail(ServerError.deserialize(wire[2]))
        return true
      case wireCode.allEmbedded:
        this.#events.push(decodeEmbeddingEvent(wire))
        this.#events.end()
        return true
      case wireCode.accepted:
        if (this.#isAccepted) return false
        this.#isAccepted = true
        break
      case wireCode.embedded:
        if (this.#embedded.has(wire[2])) return false
        this.#embedded.add(wire[2])
    }
    this.#events.push(decodeEmbeddingEvent(wire))
    return false
  }

  park (now: Millis): void { this.#times.park(now) }

  fail (error: ServerError): void { this.#events.fail(error) }
}
