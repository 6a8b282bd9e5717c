import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import type { EventQueue } from './event-queue.ts'
import type { EmbeddingEvent, EmbeddingRequest } from './inference.ts'
import { decodeEmbeddingEvent, type ServerMessage, wireCode, type WireEmbeddingEvent, type WireFailure } from './protocol.ts'
import { DEADLINE_GRACE_MS, LONGEST_MS, type RemoteCall } from './remote-call.ts'

/** One request of `embed`. It can always be sent again: another process makes the same vectors, and those told are not told twice. */
export class EmbeddingCall implements RemoteCall {
  readonly number: number
  readonly weight = 1
  readonly canBeResent = true
  readonly #request: EmbeddingRequest
  readonly #events: EventQueue<EmbeddingEvent>
  readonly #arrivedAt: Millis
  #waitingSince: Millis
  sends = 0
  onEnd: (() => void) | null = null
  #isAccepted = false
  readonly #embedded = new Set<number>()

  constructor (number: number, request: EmbeddingRequest, events: EventQueue<EmbeddingEvent>, now: Millis) {
    this.number = number
    this.#request = request
    this.#events = events
    this.#arrivedAt = now
    this.#waitingSince = now
  }

  waitingFailure (now: Millis): ServerError | null {
    const { queueTimeoutMs } = this.#request
    if (now - this.#waitingSince >= queueTimeoutMs) {
      return new ServerError('queue_timeout',
        `The engine process of the model is being restarted; the request waited ${queueTimeoutMs} ms for it`)
    }
    return this.#timeout(now, 0)
  }

  overdueFailure (now: Millis): ServerError | null {
    return this.#timeout(now, DEADLINE_GRACE_MS)
  }

  /** What is left of its times goes with it. */
  message (now: Millis): ServerMessage {
    const { queueTimeoutMs, timeoutMs } = this.#request
    return {
      type: 'embed',
      call: this.number,
      request: {
        ...this.#request,
        queueTimeoutMs: Math.min(queueTimeoutMs - (now - this.#waitingSince), LONGEST_MS),
        timeoutMs: Math.min(timeoutMs - (now - this.#arrivedAt), LONGEST_MS)
      }
    }
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

  park (now: Millis): void { this.#waitingSince = now }

  fail (error: ServerError): void { this.#events.fail(error) }

  #timeout (now: Millis, graceMs: Millis): ServerError | null {
    const { timeoutMs } = this.#request
    if (now - this.#arrivedAt < timeoutMs + graceMs) return null
    return new ServerError('generation_timeout', `The request did not end within ${timeoutMs} ms`)
  }
}
