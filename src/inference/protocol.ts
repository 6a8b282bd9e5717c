import type { AdapterKey } from '../domain/adapter-set.ts'
import type { SerializedServerError } from '../domain/errors.ts'
import type { FinishReason } from '../domain/finish-reason.ts'
import type { Millis, Token } from '../domain/ids.ts'
import { decodeVector, encodeVector } from '../domain/vector-bytes.ts'
import type { AdapterFile, EngineInfo } from '../engine/engine.ts'
import type { FakeEngineOptions } from '../engine/fake/fake-engine.ts'
import type { FaultKind } from '../engine/fake/faults.ts'
import type { LlamaCppEngineOptions } from '../engine/llama-cpp/engine-options.ts'
import type { SchedulingLimits, SchedulingOptions } from '../scheduler/scheduler-types.ts'
import type { EmbeddingEvent, EmbeddingRequest, GenerationEvent, GenerationRequest, InferenceSnapshot, Prompt, TextLogprob } from './inference.ts'

/*
 * What the server process and an engine process say to each other, over the IPC channel of `child_process.fork` as JSON.
 *
 * Why JSON: measured with a batch of 1, 8 or 32 text events each millisecond (Node 20, 2 busy cores, best of three; CPU time
 * per batch of sender and receiver together, beyond an idle timer's): JSON 125 to 145 microseconds, `advanced` (V8's
 * structured clone) 180 to 190, length-prefixed V8 data over a socket of our own 135 to 200, JSON lines over one no less than
 * JSON here. Nearly all of it is the price of a message, not of the events in it: so events travel in batches, as tuples.
 *
 * JSON has no infinities: log-probabilities of minus infinity travel as null. Vectors travel as the base64 of their 32-bit numbers
 * (little-endian), which is half as long as their decimals and exact.
 */

/** Both sides must agree; a build that was replaced under a running server is the way they come to differ. */
export const PROTOCOL_VERSION = 7

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** Which engine to make, and how. Plain data. */
export type EngineSpec =
  | {
    readonly backend: 'llama-cpp'
    readonly options: Omit<LlamaCppEngineOptions, 'onProgress' | 'onStuck' | 'logger' | 'signal'>
  }
  | {
    readonly backend: 'fake'
    readonly options: Omit<FakeEngineOptions, 'sleep' | 'faults'>
    readonly faults?: {
      readonly markers?: boolean
      readonly slowStepMs?: Millis
      readonly steps?: readonly (readonly [step: number, kind: FaultKind])[]
    }
  }

export interface LoadedAdapter {
  readonly key: AdapterKey
  readonly file: AdapterFile
}

/** All that an engine process needs to become ready. */
export interface EngineLoad {
  readonly spec: EngineSpec
  readonly scheduling: SchedulingOptions
  /** Loaded before the process says that it is ready. */
  readonly adapters: readonly LoadedAdapter[]
  /** Log entries below this level stay in the engine process. */
  readonly logLevel: LogLevel | 'silent'
}

/** Server to engine process. `call` numbers are the server's, unique within its life. */
export type ServerMessage =
  | { readonly type: 'load', readonly load: EngineLoad }
  | { readonly type: 'generate', readonly call: number, readonly request: GenerationRequest }
  | { readonly type: 'embed', readonly call: number, readonly request: EmbeddingRequest }
  | { readonly type: 'tokenize', readonly call: number, readonly prompt: Prompt, readonly addBos: boolean }
  | { readonly type: 'detokenize', readonly call: number, readonly tokens: readonly Token[] }
  | { readonly type: 'load-adapter', readonly call: number, readonly adapter: LoadedAdapter }
  | { readonly type: 'unload-adapter', readonly call: number, readonly key: AdapterKey }
  /** Other limits from now on; there is no answer. */
  | { readonly type: 'limit', readonly limits: SchedulingLimits }
  /** Nobody waits for this call any more; there is no answer. */
  | { readonly type: 'abort', readonly call: number }
  /** Let the running requests finish, free everything, exit with code 0. (To end at once, the process is killed.) */
  | { readonly type: 'close' }

/** Engine process to server. */
export type EngineMessage =
  /** The first message; `load` is the answer. */
  | { readonly type: 'hello', readonly version: number }
  /** How much of the model is loaded, 0 to 1. */
  | { readonly type: 'progress', readonly loaded: number }
  | { readonly type: 'ready', readonly info: EngineInfo, readonly snapshot: WireSnapshot }
  /** It will never end what it does, and asks to be killed. */
  | { readonly type: 'stuck', readonly reason: string }
  /** It could not load; the process exits. */
  | { readonly type: 'failed', readonly error: SerializedServerError }
  /** Everything that happened to all requests since the last batch; at most one batch per turn of the event loop. */
  | { readonly type: 'events', readonly events: readonly WireEvent[] }
  | { readonly type: 'reply', readonly call: number, readonly value: ReplyValue }
  | { readonly type: 'reply-failed', readonly call: number, readonly error: SerializedServerError }
  | { readonly type: 'snapshot', readonly snapshot: WireSnapshot }
  | { readonly type: 'log', readonly level: LogLevel, readonly details: object, readonly message: string }

/** Tokens for `tokenize`, text for `detokenize`, null for the adapter calls. */
export type ReplyValue = readonly Token[] | string | null

export interface WireSnapshot {
  /** `lastStepAt` is by the engine process's clock, which says `now`; clocks of two processes have different origins. */
  readonly now: Millis
  readonly numbers: InferenceSnapshot
}

/** The second member of every {@link WireEvent}. */
export const wireCode = { accepted: 0, started: 1, text: 2, choiceFinished: 3, finished: 4, failed: 5, embedded: 6, allEmbedded: 7 } as const
type WireCode = typeof wireCode

/** What happens to a call. `finished`, `allEmbedded` and `failed` are the last of one. */
export type WireEvent = WireGenerationEvent | WireEmbeddingEvent | WireFailure

export type WireFailure = readonly [call: number, code: WireCode['failed'], error: SerializedServerError]

/** A {@link GenerationEvent}. */
export type WireGenerationEvent =
  | readonly [call: number, code: WireCode['accepted'], promptTokens: number]
  | readonly [call: number, code: WireCode['started'], choice: number, cachedTokens: number, queuedMs: Millis]
  | readonly [call: number, code: WireCode['text'], choice: number, text: string, drawnTokens: number]
  | readonly [
    call: number, code: WireCode['text'], choice: number, text: string, drawnTokens: number,
    logprobs: readonly WireLogprob[]
  ]
  | readonly [
    call: number, code: WireCode['choiceFinished'], choice: number, reason: FinishReason, stopText: string | null,
    completionTokens: number
  ]
  | readonly [
    call: number, code: WireCode['finished'], promptTokens: number, cachedTokens: number, completionTokens: number
  ]
  | readonly [
    call: number, code: WireCode['finished'], promptTokens: number, cachedTokens: number, completionTokens: number,
    acceptedPrediction: number, rejectedPrediction: number
  ]

/** An {@link EmbeddingEvent}. */
export type WireEmbeddingEvent =
  | readonly [call: number, code: WireCode['accepted'], promptTokens: number]
  | readonly [call: number, code: WireCode['embedded'], input: number, vector: string]
  | readonly [call: number, code: WireCode['allEmbedded'], promptTokens: number, queuedMs: Millis]

/** The logprob is null where the number is minus infinity. */
type WireCandidate = readonly [token: string, logprob: number | null, bytes: readonly number[]]
type WireLogprob = readonly [...WireCandidate, top: readonly WireCandidate[]]

export function encodeEvent (call: number, event: GenerationEvent): WireGenerationEvent {
  switch (event.type) {
    case 'accepted': return [call, wireCode.accepted, event.promptTokens]
    case 'choice-started': return [call, wireCode.started, event.choice, event.cachedTokens, event.queuedMs]
    case 'text': {
      const { choice, text, drawnTokens, logprobs } = event
      return logprobs === undefined
        ? [call, wireCode.text, choice, text, drawnTokens]
        : [call, wireCode.text, choice, text, drawnTokens, logprobs.map(encodeLogprob)]
    }
    case 'choice-finished':
      return [call, wireCode.choiceFinished, event.choice, event.reason, event.stopText, event.completionTokens]
    case 'finished': {
      const { promptTokens, cachedTokens, completionTokens, prediction } = event
      return prediction === undefined
        ? [call, wireCode.finished, promptTokens, cachedTokens, completionTokens]
        : [call, wireCode.finished, promptTokens, cachedTokens, completionTokens, prediction.accepted, prediction.rejected]
    }
  }
}

export function decodeEvent (wire: WireGenerationEvent): GenerationEvent {
  switch (wire[1]) {
    case wireCode.accepted: return { type: 'accepted', promptTokens: wire[2] }
    case wireCode.started:
      return { type: 'choice-started', choice: wire[2], cachedTokens: wire[3], queuedMs: wire[4] }
    case wireCode.text: {
      const [, , choice, text, drawnTokens, logprobs] = wire
      return logprobs === undefined
        ? { type: 'text', choice, text, drawnTokens }
        : { type: 'text', choice, text, drawnTokens, logprobs: logprobs.map(decodeLogprob) }
    }
    case wireCode.choiceFinished:
      return { type: 'choice-finished', choice: wire[2], reason: wire[3], stopText: wire[4], completionTokens: wire[5] }
    case wireCode.finished: {
      const [, , promptTokens, cachedTokens, completionTokens] = wire
      const finished = { type: 'finished', promptTokens, cachedTokens, completionTokens } as const
      return wire.length === 5 ? finished : { ...finished, prediction: { accepted: wire[5], rejected: wire[6] } }
    }
  }
}

export function encodeEmbeddingEvent (call: number, event: EmbeddingEvent): WireEmbeddingEvent {
  switch (event.type) {
    case 'accepted': return [call, wireCode.accepted, event.promptTokens]
    case 'embedded': return [call, wireCode.embedded, event.input, encodeVector(event.vector)]
    case 'finished': return [call, wireCode.allEmbedded, event.promptTokens, event.queuedMs]
  }
}

export function decodeEmbeddingEvent (wire: WireEmbeddingEvent): EmbeddingEvent {
  switch (wire[1]) {
    case wireCode.accepted: return { type: 'accepted', promptTokens: wire[2] }
    case wireCode.embedded: return { type: 'embedded', input: wire[2], vector: decodeVector(wire[3]) }
    case wireCode.allEmbedded: return { type: 'finished', promptTokens: wire[2], queuedMs: wire[3] }
  }
}

type TextCandidate = Omit<TextLogprob, 'top'>

const encodeCandidate = ({ token, logprob, bytes }: TextCandidate): WireCandidate =>
  [token, logprob === -Infinity ? null : logprob, bytes]

const decodeCandidate = ([token, logprob, bytes]: WireCandidate): TextCandidate =>
  ({ token, logprob: logprob ?? -Infinity, bytes })

const encodeLogprob = (logprob: TextLogprob): WireLogprob => {
  const [token, value, bytes] = encodeCandidate(logprob)
  return [token, value, bytes, logprob.top.map(encodeCandidate)]
}

const decodeLogprob = ([token, value, bytes, top]: WireLogprob): TextLogprob =>
  ({ ...decodeCandidate([token, value, bytes]), top: top.map(decodeCandidate) })
