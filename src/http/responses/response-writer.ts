import type { AnswerFormat } from '../../chat/dialects/answer-parser.ts'
import type { ServerError } from '../../domain/errors.ts'
import type { GenerationEvent } from '../../inference/inference.ts'
import { type AnswerPiece, ChoiceReader } from '../choice-reader.ts'
import type { GenerationSink } from '../generation.ts'
import { ItemWriter, type ItemWriterOptions } from './item-writer.ts'
import { type ResponseBody, toResponseUsage } from './response-body.ts'
import type { ResponseEvent } from './response-events.ts'

export interface ResponseWriterOptions extends Pick<ItemWriterOptions, 'tellsSummary' | 'tellsPortableReasoning'> {
  /** Not begun. The writer fills it in. */
  readonly body: ResponseBody
  readonly format: AnswerFormat
  /** Hears of every event, in order. What it holds may change once this returns. */
  readonly emit: (event: ResponseEvent) => void
  /** The request is valid and queued. */
  readonly onAccepted?: () => void
  /** The body is complete; the event that says so comes after this. */
  readonly onEnd: (body: ResponseBody) => void
}

/** Turns one generation into a response, event by event. The body is at any time what the events so far add up to. */
export class ResponseWriter implements GenerationSink {
  readonly body: ResponseBody
  readonly #options: ResponseWriterOptions
  readonly #reader: ChoiceReader
  readonly #items: ItemWriter
  #isAnnounced = false
  #isInProgress = false

  constructor (options: ResponseWriterOptions) {
    this.body = options.body
    this.#options = options
    this.#reader = new ChoiceReader(options.format)
    this.#items = new ItemWriter({ ...options, output: options.body.output })
  }

  take (_prompt: number, event: GenerationEvent): void {
    switch (event.type) {
      case 'accepted':
        // Others are told with the first news, so that a wait which is too long can still have its true status.
        if (this.body.status === 'queued') this.#announce()
        this.#options.onAccepted?.()
        break
      case 'choice-started':
        this.#begin()
        break
      case 'text':
        this.#write(this.#reader.take(event))
        break
      case 'choice-finished':
        this.#write(this.#reader.end())
        if (event.reason === 'length') this.body.incomplete_details = { reason: 'max_output_tokens' }
        this.#items.end(event.reason === 'length' ? 'incomplete' : 'completed')
        break
      case 'finished':
        this.body.usage = toResponseUsage({ ...event, reasoningTokens: this.#reader.reasoningTokens })
        this.#complete()
    }
  }

  /** The generation has failed; what there is of the answer stays in the body. */
  fail (error: ServerError): void {
    const { emit, onEnd } = this.#options
    this.#announce()
    this.#items.abandon()
    this.body.status = 'failed'
    this.body.error = { code: errorCodeOf(error), message: error.message }
    onEnd(this.body)
    this.#emitError(error)
    emit({ type: 'response.failed', response: this.body })
  }

  /** The client has cancelled it; what there is of the answer stays in the body. */
  cancel (error: ServerError): void {
    this.#announce()
    this.#items.abandon()
    this.body.status = 'cancelled'
    this.#options.onEnd(this.body)
    // There is no event for it, and a stream that just ends looks complete.
    this.#emitError(error)
  }

  #announce (): void {
    if (this.#isAnnounced) return
    this.#isAnnounced = true
    const { emit } = this.#options
    emit({ type: 'response.created', response: this.body })
    if (this.body.status === 'queued') emit({ type: 'response.queued', response: this.body })
  }

  #begin (): void {
    if (this.#isInProgress) return
    this.#isInProgress = true
    this.#announce()
    this.body.status = 'in_progress'
    this.#options.emit({ type: 'response.in_progress', response: this.body })
  }

  #write (pieces: readonly AnswerPiece[]): void {
    for (const piece of pieces) this.#items.take(piece)
  }

  #complete (): void {
    const isIncomplete = this.body.incomplete_details !== null
    this.body.status = isIncomplete ? 'incomplete' : 'completed'
    if (!isIncomplete) this.body.completed_at = Math.floor(Date.now() / 1000)
    this.#options.onEnd(this.body)
    this.#options.emit({ type: isIncomplete ? 'response.incomplete' : 'response.completed', response: this.body })
  }

  #emitError ({ type, code, message, param: field }: ServerError): void {
    const param = field ?? null
    this.#options.emit({ type: 'error', code, message, param, error: { type, code, message, param } })
  }
}

function errorCodeOf ({ status }: ServerError): NonNullable<ResponseBody['error']>['code'] {
  if (status === 429) return 'rate_limit_exceeded'
  return status < 500 ? 'invalid_prompt' : 'server_error'
}
