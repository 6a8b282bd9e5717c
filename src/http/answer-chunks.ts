import type { AnswerIdentity } from './answer-identity.ts'
import { toSseEvent } from './sse.ts'
import { type StreamUsage, type TokenCounts, toUsage } from './usage.ts'

/**
 * The events of a streamed answer. What they have in common is serialized once, since there is a chunk per token; a test
 * holds the result to OpenAI's types.
 */
export class AnswerChunks {
  readonly #head: string
  readonly #usage: StreamUsage

  constructor (object: string, { id, created, model, fingerprint, serviceTier }: AnswerIdentity, usage: StreamUsage) {
    const envelope = JSON.stringify({ id, object, created, model, service_tier: serviceTier, system_fingerprint: fingerprint })
    this.#head = `${envelope.slice(0, -1)},"choices":[`
    this.#usage = usage
  }

  /** The chunk after the last choice's; without choices, with the usage of all. */
  usage (counts: TokenCounts): string {
    return this.#usage === 'none' ? '' : toSseEvent(`${this.#head}],"usage":${JSON.stringify(toUsage(counts))}}`)
  }

  /** @param json members of the choice, without its braces */
  protected chunk (json: string, counts: TokenCounts): string {
    const tail = this.#usage === 'none' ? '}' : `,"usage":${this.#usage === 'final' ? 'null' : JSON.stringify(toUsage(counts))}}`
    return toSseEvent(`${this.#head}{${json}}]${tail}`)
  }
}
