import type { AnswerLength } from '../domain/answer-length.ts'
import type { ToolDialect } from '../domain/tool-dialect.ts'
import type { EngineInfo } from '../engine/engine.ts'
import type { Inference } from '../inference/inference.ts'

/**
 * - `loading`: the engine process starts and reads the weights.
 * - `ready`: it can decode.
 * - `restarting`: the engine process died; a new one is on its way.
 * - `draining`: running requests finish, new ones are refused.
 * - `failed`: it could not be loaded at all and is not tried again.
 * - `closed`: gone, and its memory with it.
 */
export type ModelState = 'loading' | 'ready' | 'restarting' | 'draining' | 'failed' | 'closed'

/** One model and the process that runs it. */
export interface ModelHost extends AsyncDisposable {
  /** The model's name in the API. */
  readonly id: string
  /** Where it came from, as shown in `/v1/models`: a file path, or `demo` or `fake`. */
  readonly root: string
  /** When the model was configured, in seconds since 1970. */
  readonly createdAt: number
  /** The format of its tool calls; `auto`, or absent, is what its chat template shows. */
  readonly toolDialect?: ToolDialect | 'auto'
  /** How long its answers may be; absent, as long as the context holds. */
  readonly answerLength?: AnswerLength
  readonly state: ModelState
  /** Why it is `failed` or `restarting`; null otherwise. */
  readonly failure: Error | null
  /** Null until the model was ready for the first time. */
  readonly info: EngineInfo | null
  /** Usable in every state; requests wait for a restart within their queue timeout. */
  readonly inference: Inference
  /** Process id of the engine process, null while there is none. */
  readonly pid: number | null
  /** How often the engine process was replaced after a crash. */
  readonly restarts: number

  /** Settles when the model is ready. @throws the failure when it cannot be loaded. */
  ready (signal: AbortSignal): Promise<void>
  /** Refuses new requests, lets running ones finish, ends the process. */
  close (): Promise<void>
  /** Ends the process now; running requests end with the error. */
  destroy (error: Error): Promise<void>
}
