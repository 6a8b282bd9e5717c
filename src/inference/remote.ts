import type { AdapterKey } from '../domain/adapter-set.ts'
import { ServerError } from '../domain/errors.ts'
import type { Millis, Token } from '../domain/ids.ts'
import type { AdapterFile, EngineInfo } from '../engine/engine.ts'
import { detokenizeRefusal, embeddingRefusal, predictionRefusal, promptRefusal, tokenizeRefusal } from './call-limits.ts'
import { EmbeddingCall } from './embedding-call.ts'
import { EventQueue } from './event-queue.ts'
import type { EmbeddingEvent, EmbeddingRequest, GenerationEvent, GenerationRequest, Inference, InferenceSnapshot, Prompt } from './inference.ts'
import type { SchedulingLimits } from '../scheduler/scheduler-types.ts'
import type { EngineMessage, LoadedAdapter, ReplyValue, ServerMessage, WireEmbeddingEvent, WireFailure, WireGenerationEvent, WireSnapshot } from './protocol.ts'
import { GenerationCall, type RemoteCall, ReplyCall } from './remote-call.ts'
import { SnapshotLedger } from './snapshot-ledger.ts'

/** The way to an engine process. Sending never throws and never waits; what a dead process is told is lost. */
export interface EngineConnection {
  send (message: ServerMessage): void
}

export interface RemoteInferenceOptions {
  /** Most sequences that wait while there is no engine process, until {@link RemoteInference.limit} says otherwise. */
  readonly maxQueue: number
  /** Longest wait for an engine process of calls that bring no timeout of their own. */
  readonly queueTimeoutMs: Millis
  /** A busy engine process that completes no step for this long is reported as stalled. */
  readonly stallTimeoutMs: Millis
  /** Monotonic clock in milliseconds. */
  readonly now?: () => Millis
  /** `close` was called; requests may still be running. */
  readonly onClosing: () => void
  /** Whoever holds the process ends it: in good order after the last call of a `close`, at once for `destroy`. */
  readonly release: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly onStall: () => void
}

/** How often waiting and overdue calls are looked at, while there are calls. */
const WATCH_INTERVAL_MS = 100
/** A call that two processes died of is not given to a third. */
const MOST_SENDS = 2

/**
 * Inference by an engine process, over a connection that may be lost and replaced: calls whose answer had not begun are
 * sent once more to the next process, those that come in between wait for it.
 *
 * It does not start or end processes; its owner does, and says so by `connect`, `interrupt` and `fail`.
 */
export class RemoteInference implements Inference {
  readonly #options: RemoteInferenceOptions
  readonly #now: () => Millis
  readonly #ledger = new SnapshotLedger()
  readonly #calls = new Map<number, RemoteCall>()
  /** Those of the calls that no process has, in the order of their arrival. */
  #waiting = new Set<RemoteCall>()
  #maxQueue: number
  /** What every process has to be told that was started with others; null before they changed. */
  #limits: SchedulingLimits | null = null
  #connection: EngineConnection | null = null
  #info: EngineInfo | null = null
  /** What every call ends with from now on. */
  #refusal: ServerError | null = null
  #adapters = new Map<AdapterKey, AdapterFile>()
  #lastCall = 0
  /** When the process last completed a step, or had to begin doing something. */
  #progressAt: Millis = 0
  #watch: NodeJS.Timeout | null = null
  #idle: (() => void)[] = []
  #end: Promise<void> | null = null

  constructor (options: RemoteInferenceOptions) {
    this.#options = options
    this.#maxQueue = options.maxQueue
    this.#now = options.now ?? (() => performance.now())
  }

  /** @throws ServerError `model_loading` until the first process is connected. */
  get info (): EngineInfo {
    if (this.#info === null) throw this.#refusal ?? loadingError()
    return this.#info
  }

  get isConnected (): boolean { return this.#connection !== null }

  /** Requests and other calls that have not ended. */
  get pendingCalls (): number { return this.#calls.size }

  /** What a new process has to load before it is connected. */
  get adapters (): readonly LoadedAdapter[] {
    return [...this.#adapters].map(([key, file]) => ({ key, file }))
  }

  /** A process is ready; what waited is sent to it. */
  connect (connection: EngineConnection, info: EngineInfo, snapshot: WireSnapshot): void {
    this.#connection = connection
    this.#info = info
    this.#ledger.begin(snapshot, this.#now())
    this.#progressAt = this.#now()
    if (this.#limits !== null) connection.send({ type: 'limit', limits: this.#limits })
    this.#sendWaiting()
  }

  /** The process is gone and another will come: what cannot be sent again ends with the error. */
  interrupt (error: ServerError): void {
    this.#connection = null
    this.#ledger.interrupt()
    const now = this.#now()
    const resent: RemoteCall[] = []
    for (const call of this.#calls.values()) {
      if (this.#waiting.has(call)) continue
      if (call.canBeResent && call.sends < MOST_SENDS) {
        call.park(now)
        resent.push(call)
      } else {
        this.#settle(call)
        call.fail(error)
      }
    }
    this.#waiting = new Set([...resent, ...this.#waiting])
  }

  /** There is no process and none will come: every call ends with the error, those still to come too. */
  fail (error: ServerError): void {
    this.#connection = null
    this.#ledger.interrupt()
    this.#refusal = error
    for (const call of [...this.#calls.values()]) {
      this.#settle(call)
      call.fail(error)
    }
  }

  /** What a connected process says. */
  take (message: Extract<EngineMessage, { readonly type: 'events' | 'reply' | 'reply-failed' | 'snapshot' }>): void {
    switch (message.type) {
      case 'events':
        this.#noteLife()
        for (const event of message.events) {
          const call = this.#calls.get(event[0])
          // The process knows of what kind each call is.
          if (call instanceof GenerationCall && call.take(event as WireGenerationEvent | WireFailure)) this.#settle(call)
          else if (call instanceof EmbeddingCall && call.take(event as WireEmbeddingEvent | WireFailure)) this.#settle(call)
        }
        if (this.#waiting.size > 0) this.#sendWaiting()
        break
      case 'reply':
      case 'reply-failed': {
        this.#noteLife()
        const call = this.#calls.get(message.call)
        if (!(call instanceof ReplyCall)) break
        this.#settle(call)
        if (message.type === 'reply') call.resolve(message.value)
        else call.fail(ServerError.deserialize(message.error))
        break
      }
      case 'snapshot':
        if (this.#ledger.take(message.snapshot, this.#now())) this.#progressAt = this.#now()
        break
    }
  }

  generate (request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent> {
    const create = (call: number, events: EventQueue<GenerationEvent>) => new GenerationCall(call, request, events, this.#now())
    const refusal = () => promptRefusal(request.prompt, this.info, request.contextLimit) ?? predictionRefusal(request.prediction, this.info)
    return { [Symbol.asyncIterator]: () => this.#begin(create, refusal, signal, mergeTexts) }
  }

  embed (request: EmbeddingRequest, signal: AbortSignal): AsyncIterable<EmbeddingEvent> {
    const create = (call: number, events: EventQueue<EmbeddingEvent>) => new EmbeddingCall(call, request, events, this.#now())
    const refusal = () => embeddingRefusal(request, this.info)
    return { [Symbol.asyncIterator]: () => this.#begin(create, refusal, signal) }
  }

  async tokenize (prompt: Prompt, { addBos }: { readonly addBos: boolean }): Promise<readonly Token[]> {
    const refusal = tokenizeRefusal(prompt, this.info)
    if (refusal !== null) throw refusal
    return await this.#ask((call) => ({ type: 'tokenize', call, prompt, addBos })) as readonly Token[]
  }

  async detokenize (tokens: readonly Token[]): Promise<string> {
    const refusal = detokenizeRefusal(tokens, this.info)
    if (refusal !== null) throw refusal
    return await this.#ask((call) => ({ type: 'detokenize', call, tokens })) as string
  }

  /**
   * Loads an adapter into the engine process, and into every one that replaces it.
   * @throws ServerError `invalid_adapter`; `request_aborted` when the signal fired.
   */
  async loadAdapter (key: AdapterKey, file: AdapterFile, signal: AbortSignal): Promise<void> {
    await this.#ask((call) => ({ type: 'load-adapter', call, adapter: { key, file } }), signal).catch(async (error: unknown) => {
      // It may have been loaded when it was given up, and must not stay in memory, nor be in the way when it is loaded again.
      if (signal.aborted && this.#connection !== null) await this.unloadAdapter(key).catch(() => {})
      throw error
    })
    this.#adapters.set(key, file)
  }

  async unloadAdapter (key: AdapterKey): Promise<void> {
    this.#adapters.delete(key)
    await this.#ask((call) => ({ type: 'unload-adapter', call, key }))
  }

  /** Other limits for what comes from now on, here and in every engine process. */
  limit (limits: SchedulingLimits): void {
    this.#maxQueue = limits.maxQueue
    this.#limits = limits
    this.#connection?.send({ type: 'limit', limits })
  }

  /** The last numbers that the process sent (at most 100 ms old while it works), the counters of dead ones added. */
  snapshot (): InferenceSnapshot {
    let requests = 0
    for (const call of this.#calls.values()) if (!(call instanceof ReplyCall)) requests++
    return this.#ledger.total(requests, weightOf(this.#waiting))
  }

  close (): Promise<void> {
    this.#refusal ??= new ServerError('server_draining', 'The server is shutting down')
    this.#end ??= (async () => {
      this.#options.onClosing()
      if (this.#calls.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
      await this.#options.release()
    })()
    return this.#end
  }

  async destroy (error: Error): Promise<void> {
    this.fail(ServerError.from(error, 'engine_error'))
    this.#end = this.#options.kill()
    await this.#end
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.destroy(new ServerError('server_draining', 'The server is shutting down'))
  }

  /** @param refusal why it need not even be sent */
  #begin<Event> (
    create: (call: number, events: EventQueue<Event>) => RemoteCall, refusal: () => ServerError | null, signal: AbortSignal,
    merge: ((last: Event, next: Event) => Event | null) | null = null
  ): AsyncIterator<Event> {
    const abort = (): void => {
      this.#drop(call)
      call.fail(abortedError())
    }
    const events = new EventQueue<Event>(() => this.#drop(call), merge)
    const call = create(++this.#lastCall, events)
    const reason = signal.aborted ? abortedError() : this.#refusalFor(call) ?? refusal()
    if (reason === null) {
      signal.addEventListener('abort', abort, { once: true })
      call.onEnd = () => { signal.removeEventListener('abort', abort) }
      this.#add(call)
    } else {
      call.fail(reason)
    }
    return events
  }

  async #ask (
    message: (call: number) => Extract<ServerMessage, { readonly call: number }>, signal?: AbortSignal
  ): Promise<ReplyValue> {
    return await new Promise<ReplyValue>((resolve, reject) => {
      const call = new ReplyCall(
        message(++this.#lastCall), this.#options.queueTimeoutMs, this.#now(), resolve, reject)
      const refusal = signal?.aborted === true ? abortedError() : this.#refusalFor(call)
      if (refusal !== null) return call.fail(refusal)
      const abort = (): void => {
        this.#drop(call)
        call.fail(abortedError())
      }
      signal?.addEventListener('abort', abort, { once: true })
      call.onEnd = () => { signal?.removeEventListener('abort', abort) }
      this.#add(call)
    })
  }

  #refusalFor (call: RemoteCall): ServerError | null {
    if (this.#refusal !== null) return this.#refusal
    if (this.#info === null) return loadingError()
    if (this.#connection !== null && this.#waiting.size === 0) return null
    const waiting = weightOf(this.#waiting)
    const maxQueue = this.#maxQueue
    if (waiting + call.weight <= maxQueue) return null
    return new ServerError('queue_full',
      `${waiting} requests are waiting for the engine process, which is being restarted; the limit is ${maxQueue}`)
  }

  #add (call: RemoteCall): void {
    if (this.#calls.size === 0) this.#noteLife()
    this.#calls.set(call.number, call)
    this.#watch ??= setInterval(() => this.#look(), WATCH_INTERVAL_MS).unref()
    if (this.#connection !== null && this.#waiting.size === 0) this.#send(call, this.#connection)
    else this.#waiting.add(call)
  }

  /**
   * The process answers, or has to begin. While it has a step to complete that is no progress: it can take in requests, and
   * be asked by one client after the other, with a step that never ends.
   */
  #noteLife (): void {
    if (this.#ledger.isQuiet) this.#progressAt = this.#now()
  }

  #send (call: RemoteCall, connection: EngineConnection): void {
    call.sends++
    connection.send(call.message(this.#now()))
  }

  /**
   * In waves: what a dead process had in slots and in its queue is more than the new one's queue holds before its first
   * step, and nothing that was admitted once may now be refused.
   */
  #sendWaiting (): void {
    const connection = this.#connection
    if (connection === null || this.#waiting.size === 0) return
    let queued = 0
    for (const call of this.#calls.values()) {
      if (call instanceof GenerationCall && !this.#waiting.has(call)) queued += call.unstartedChoices
    }
    for (const call of this.#waiting) {
      if (queued > 0 && queued + call.weight > this.#maxQueue) return
      this.#waiting.delete(call)
      this.#send(call, connection)
      queued += call.weight
    }
  }

  /** Nobody waits for it any more. */
  #drop (call: RemoteCall): void {
    if (!this.#calls.has(call.number)) return
    if (!this.#waiting.has(call)) this.#connection?.send({ type: 'abort', call: call.number })
    this.#settle(call)
  }

  #settle (call: RemoteCall): void {
    this.#calls.delete(call.number)
    this.#waiting.delete(call)
    call.onEnd?.()
    if (this.#calls.size > 0) return
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#watch = null
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  #look (): void {
    const now = this.#now()
    for (const call of [...this.#calls.values()]) {
      const failure = this.#waiting.has(call) ? call.waitingFailure(now) : call.overdueFailure(now)
      if (failure === null) continue
      this.#drop(call)
      call.fail(failure)
    }
    if (this.#waiting.size > 0) this.#sendWaiting()
    if (this.#connection === null || this.#calls.size === 0) return
    if (now - this.#progressAt < this.#options.stallTimeoutMs) return
    this.#progressAt = now
    this.#options.onStall()
  }
}

const loadingError = (): ServerError => new ServerError('model_loading', 'The model is still being loaded')

const abortedError = (): ServerError => new ServerError('request_aborted', 'The client has gone')

/** A reader that lags behind gets several tokens' text at once. */
function mergeTexts (last: GenerationEvent, next: GenerationEvent): GenerationEvent | null {
  if (last.type !== 'text' || next.type !== 'text' || last.choice !== next.choice) return null
  const { choice, drawnTokens } = next
  const text = last.text + next.text
  if (last.logprobs === undefined && next.logprobs === undefined) return { type: 'text', choice, text, drawnTokens }
  return { type: 'text', choice, text, drawnTokens, logprobs: [...last.logprobs ?? [], ...next.logprobs ?? []] }
}

function weightOf (calls: Iterable<RemoteCall>): number {
  let weight = 0
  for (const call of calls) weight += call.weight
  return weight
}
