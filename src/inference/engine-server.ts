import { ServerError } from '../domain/errors.ts'
import type { RequestId, SequenceId } from '../domain/ids.ts'
import type { Engine } from '../engine/engine.ts'
import type { LocalInference } from './local.ts'
import {
  encodeEmbeddingEvent, encodeEvent, type EngineMessage, type ReplyValue, type ServerMessage, wireCode, type WireEvent
} from './protocol.ts'
import { SnapshotPublisher } from './snapshot-publisher.ts'

export interface EngineServerParts {
  readonly engine: Engine
  /** Owns the engine. */
  readonly inference: LocalInference
  readonly send: (message: EngineMessage) => void
}

/** The engine process's end of the protocol, from `ready` on: server messages in, engine messages out. */
export class EngineServer {
  readonly #engine: Engine
  readonly #inference: LocalInference
  readonly #send: (message: EngineMessage) => void
  readonly #publisher: SnapshotPublisher
  readonly #generations = new Map<number, RequestId>()
  readonly #embeddings = new Map<number, RequestId>()
  readonly #adapterLoads = new Map<number, AbortController>()
  #batch: WireEvent[] = []

  constructor ({ engine, inference, send }: EngineServerParts) {
    this.#engine = engine
    this.#inference = inference
    this.#send = send
    this.#publisher = new SnapshotPublisher(
      () => inference.snapshot(), (snapshot) => send({ type: 'snapshot', snapshot }), () => performance.now())
    send({ type: 'ready', info: engine.info, snapshot: this.#publisher.current() })
  }

  take (message: Exclude<ServerMessage, { readonly type: 'load' | 'close' }>): void {
    switch (message.type) {
      case 'generate':
        this.#generate(message)
        break
      case 'embed':
        this.#embed(message)
        break
      case 'tokenize': {
        const { call, prompt, addBos } = message
        this.#reply(call, this.#inference.tokenize(prompt, { addBos }))
        break
      }
      case 'detokenize':
        this.#reply(message.call, this.#inference.detokenize(message.tokens))
        break
      case 'load-adapter': {
        const { call, adapter: { key, file } } = message
        const controller = new AbortController()
        this.#adapterLoads.set(call, controller)
        this.#reply(call, this.#engine.loadAdapter(key, file, controller.signal).then(() => null))
        break
      }
      case 'unload-adapter':
        this.#reply(message.call, this.#engine.unloadAdapter(message.key).then(() => null))
        break
      case 'limit':
        this.#inference.limit(message.limits)
        break
      case 'abort':
        this.#abort(message.call)
        break
    }
  }

  /** Lets running requests finish, then frees everything. */
  async close (): Promise<void> {
    await this.#inference.close()
    this.#flush()
    this.#publisher.stop()
  }

  /** A sequence's draw under a grammar does not end: its request fails, and the process asks to be replaced. */
  giveUp (sequence: SequenceId, error: ServerError): void {
    for (const [call, request] of this.#generations) {
      if (this.#inference.requestOf(sequence) === request) this.#emit([call, wireCode.failed, error.serialize()])
    }
    this.#flush()
    this.#send({ type: 'stuck', reason: 'was stuck in a draw under a grammar' })
  }

  #generate ({ call, request }: Extract<ServerMessage, { readonly type: 'generate' }>): void {
    this.#generations.set(call, request.id)
    this.#begin(call, () => this.#inference.submit(request, this.#sinkOf(call, encodeEvent)))
  }

  #embed ({ call, request }: Extract<ServerMessage, { readonly type: 'embed' }>): void {
    this.#embeddings.set(call, request.id)
    this.#begin(call, () => this.#inference.submitEmbedding(request, this.#sinkOf(call, encodeEmbeddingEvent)))
  }

  #begin (call: number, submit: () => void): void {
    try {
      submit()
      this.#publisher.start()
    } catch (error) {
      this.#generations.delete(call)
      this.#embeddings.delete(call)
      this.#emit([call, wireCode.failed, ServerError.from(error).serialize()])
    }
  }

  #sinkOf<Event> (call: number, encode: (call: number, event: Event) => WireEvent) {
    return {
      push: (event: Event) => this.#emit(encode(call, event)),
      end: () => this.#end(call),
      fail: (error: ServerError) => {
        this.#emit([call, wireCode.failed, error.serialize()])
        this.#end(call)
      }
    }
  }

  #abort (call: number): void {
    this.#adapterLoads.get(call)?.abort()
    const embedding = this.#embeddings.get(call)
    if (embedding !== undefined) {
      this.#inference.abortEmbedding(embedding)
      this.#end(call)
    }
    const request = this.#generations.get(call)
    if (request === undefined) return
    this.#inference.abort(request)
    this.#end(call)
  }

  #end (call: number): void {
    this.#generations.delete(call)
    this.#embeddings.delete(call)
    if (this.#generations.size + this.#embeddings.size === 0) setImmediate(() => this.#publisher.settle())
  }

  /** One message for all that a turn of the event loop brings: the price is per message, not per event. */
  #emit (event: WireEvent): void {
    if (this.#batch.push(event) === 1) setImmediate(() => this.#flush())
  }

  #flush (): void {
    if (this.#batch.length === 0) return
    const events = this.#batch
    this.#batch = []
    this.#send({ type: 'events', events })
  }

  #reply (call: number, answer: Promise<ReplyValue>): void {
    answer.then(
      (value) => this.#send({ type: 'reply', call, value }),
      (error: unknown) => this.#send({ type: 'reply-failed', call, error: ServerError.from(error).serialize() })
    ).finally(() => this.#adapterLoads.delete(call))
  }
}
