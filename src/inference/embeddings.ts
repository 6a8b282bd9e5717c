import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { ServerError } from '../domain/errors.ts'
import type { Millis, RequestId, Token } from '../domain/ids.ts'
import type { Engine } from '../engine/engine.ts'
import { EmbeddingQueue, type EmbeddingLimits, type EmbeddingTurn, type FailedEmbedding } from '../scheduler/embedding-queue.ts'
import { embeddingRefusal, inputLengthRefusal, requestLengthRefusal } from './call-limits.ts'
import type { EmbeddingEvent, EmbeddingInput, EmbeddingRequest } from './inference.ts'

/** Takes a request's events as they happen, synchronously; after `end` or `fail` there is nothing more. */
export interface EmbeddingSink {
  push (event: EmbeddingEvent): void
  end (): void
  fail (error: ServerError): void
}

export interface EmbeddingCounts {
  /** Now: requests of which no input had its turn, and those that have begun. */
  readonly waiting: number
  readonly running: number
  /** Inputs that became vectors, each in a forward pass of its own, and their tokens. */
  readonly embeddedInputs: number
  readonly embeddedTokens: number
  readonly lastStepAt: Millis | null
}

interface RunningEmbedding {
  readonly id: RequestId
  readonly sink: EmbeddingSink
  promptTokens: number
  queuedMs: Millis
  missing: number
}

/** So many characters are tokenized, or tokens put together, before others have their turn: requests, disconnects, and the next step. */
const MOST_AT_ONCE = 64 * 1024

/**
 * The requests for vectors in the process that holds the engine. Their inputs are tokenized when they come and wait in a queue; the
 * step loop takes them one by one, in turns with the steps of its lanes.
 */
export class Embeddings {
  readonly #engine: Engine
  readonly #queue: EmbeddingQueue
  readonly #now: () => Millis
  readonly #onWork: () => void
  readonly #onIdle: () => void
  /** Those in the queue, and those that are being tokenized. */
  readonly #requests = new Map<RequestId, RunningEmbedding>()
  #embeddedInputs = 0
  #embeddedTokens = 0
  #lastStepAt: Millis | null = null

  /**
   * @param onWork there is an input to compute
   * @param onIdle the last request has ended
   */
  constructor (engine: Engine, limits: EmbeddingLimits, { now, onWork, onIdle }: { readonly now: () => Millis, readonly onWork: () => void, readonly onIdle: () => void }) {
    this.#engine = engine
    this.#queue = new EmbeddingQueue(limits)
    this.#now = now
    this.#onWork = onWork
    this.#onIdle = onIdle
  }

  /** Lanes that embed, from the first one on. */
  get laneCount (): number { return this.#engine.info.embedding?.laneCount ?? 0 }

  /** Requests that have not ended. */
  get size (): number { return this.#requests.size }

  /** Holds for requests that come from now on. */
  limit (limits: Omit<EmbeddingLimits, 'policy'>): void {
    this.#queue.limit(limits)
  }

  counts (): EmbeddingCounts {
    const { waiting } = this.#queue
    return {
      waiting,
      running: this.#queue.size - waiting,
      embeddedInputs: this.#embeddedInputs,
      embeddedTokens: this.#embeddedTokens,
      lastStepAt: this.#lastStepAt
    }
  }

  /** @throws ServerError when it can be refused before its texts are tokenized; the sink is then never called */
  submit (request: EmbeddingRequest, sink: EmbeddingSink): void {
    const refusal = embeddingRefusal(request, this.#engine.info)
    if (refusal !== null) throw refusal
    const running: RunningEmbedding = { id: request.id, sink, promptTokens: 0, queuedMs: 0, missing: request.inputs.length }
    this.#requests.set(request.id, running)
    this.#enqueue(request, running).catch((error: unknown) => {
      this.#fail({ id: request.id, error: ServerError.from(error, 'engine_error') })
    })
  }

  /** Ends a request without a word to its sink; unknown and ended ones are ignored. */
  abort (id: RequestId): void {
    if (!this.#requests.delete(id)) return
    this.#queue.remove(id)
    if (this.#requests.size === 0) this.#onIdle()
  }

  /** Ends all requests. */
  failAll (error: ServerError): void {
    for (const id of [...this.#requests.keys()]) this.#fail({ id, error })
  }

  next (): EmbeddingTurn | null { return this.#queue.next(this.#now()) }

  /** What became of an input's turn. */
  commit ({ id, index, tokens, queuedMs }: EmbeddingTurn, outcome: Float32Array | Error): void {
    const isVector = outcome instanceof Float32Array
    if (isVector) {
      this.#embeddedInputs++
      this.#embeddedTokens += tokens.length
    }
    this.#lastStepAt = this.#now()
    const request = this.#requests.get(id)
    if (request === undefined) return
    if (!isVector) {
      this.#fail({ id, error: ServerError.from(outcome, 'engine_error') })
      return
    }
    request.queuedMs = queuedMs
    request.sink.push({ type: 'embedded', input: index, vector: outcome })
    request.missing--
    if (request.missing > 0) return
    this.abort(id)
    request.sink.push({ type: 'finished', promptTokens: request.promptTokens, queuedMs })
    request.sink.end()
  }

  /** Ends those whose time is up. */
  expire (): void {
    for (const failed of this.#queue.expire(this.#now())) this.#fail(failed)
  }

  async #enqueue ({ inputs, query, param, queueTimeoutMs, timeoutMs, ...request }: EmbeddingRequest, running: RunningEmbedding): Promise<void> {
    const arrivedAt = this.#now()
    const tokenized: (readonly Token[])[] = []
    const head = this.#head(query)
    let work = query?.length ?? 0
    for (const [index, input] of inputs.entries()) {
      const tokens = this.#tokens(input, head)
      const refusal = inputLengthRefusal(tokens.length, this.#engine.info, `${param}[${index}]`)
      if (refusal !== null) throw refusal
      tokenized.push(tokens)
      running.promptTokens += tokens.length
      const excess = requestLengthRefusal(running.promptTokens, param)
      if (excess !== null) throw excess
      work += 'text' in input ? Math.max(input.text.length, tokens.length) : 0
      if (work < MOST_AT_ONCE) continue
      work = 0
      await yieldToEventLoop()
      if (!this.#requests.has(request.id)) return
    }
    const turnedAway = this.#queue.add({
      ...request, inputs: tokenized, queueDeadline: arrivedAt + queueTimeoutMs, deadline: arrivedAt + timeoutMs
    }, this.#now())
    running.sink.push({ type: 'accepted', promptTokens: running.promptTokens })
    for (const failed of turnedAway) this.#fail(failed)
    this.#onWork()
  }

  /** What stands before each text. */
  #head (query: string | undefined): readonly Token[] {
    const { before = [], between = [] } = this.#engine.info.embedding?.frame ?? {}
    return query === undefined ? before : [...before, ...this.#plain(query), ...between]
  }

  #tokens (input: EmbeddingInput, head: readonly Token[]): readonly Token[] {
    if ('tokens' in input) return input.tokens
    return [...head, ...this.#plain(input.text), ...this.#engine.info.embedding?.frame.after ?? []]
  }

  /** Clients' texts never become control tokens; those stand around them. */
  #plain (text: string): readonly Token[] {
    return text === '' ? [] : this.#engine.tokenizer.tokenize(text, { special: false })
  }

  #fail ({ id, error }: FailedEmbedding): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    this.abort(id)
    request.sink.fail(error)
  }
}
