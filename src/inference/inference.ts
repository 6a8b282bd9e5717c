import type { AdapterSet } from '../domain/adapter-set.ts'
import type { FinishReason } from '../domain/finish-reason.ts'
import type { Millis, RequestId, TenantId, Token } from '../domain/ids.ts'
import type { Priority } from '../domain/priority.ts'
import type { Sampling } from '../domain/sampling.ts'
import type { EngineInfo } from '../engine/engine.ts'
import type { SchedulerSnapshot } from '../scheduler/scheduler-types.ts'

/** A piece of prompt text. Control tokens are recognised only in template text, never in users' text. */
export interface PromptSegment {
  readonly text: string
  readonly origin: 'template' | 'user'
}

/** Text in segments that is tokenized here (with BOS where the model wants it), or tokens as they are. */
export type Prompt =
  | { readonly segments: readonly PromptSegment[] }
  | { readonly tokens: readonly Token[] }

export interface GenerationRequest {
  readonly id: RequestId
  readonly tenant: TenantId
  /** The tenant's share of the service, relative to others'; 1 where nothing is said. */
  readonly weight?: number
  /** `normal` where nothing is said. */
  readonly priority?: Priority
  readonly prompt: Prompt
  readonly adapters: AdapterSet
  /** How many answers to the same prompt; they share its prefill. At least 1. */
  readonly choices: number
  /** Most tokens per choice; null is as many as the context holds. The answer ends with `length` at either limit. */
  readonly maxTokens: number | null
  /** Most tokens of prompt and answer together, where it is less than the model's context. */
  readonly contextLimit?: number
  /** The answer ends before any of these texts; they are never emitted. */
  readonly stop: readonly string[]
  /** What the answer may be like. It changes how long the answer takes, where guesses are made, and nothing else. */
  readonly prediction?: string
  /** Control tokens with these literals are part of the text; none are where nothing is said. */
  readonly shownControlTexts?: readonly string[]
  /** The seed of choice i is derived from this one's seed and i; choice 0 has the seed itself. */
  readonly sampling: Sampling
  /** Longest wait for a slot, and longest time in all, from now. */
  readonly queueTimeoutMs: Millis
  readonly timeoutMs: Millis
}

/** One token's log-probabilities, in text: what OpenAI's API calls a token logprob. */
export interface TextLogprob {
  readonly token: string
  readonly logprob: number
  /** UTF-8 bytes of the token; may be part of a character. */
  readonly bytes: readonly number[]
  readonly top: readonly { readonly token: string, readonly logprob: number, readonly bytes: readonly number[] }[]
}

export type GenerationEvent =
  | {
    /** The first event: the request is valid and queued. */
    readonly type: 'accepted'
    readonly promptTokens: number
  }
  | {
    /** The choice has a slot. */
    readonly type: 'choice-started'
    readonly choice: number
    readonly cachedTokens: number
    readonly queuedMs: Millis
  }
  | {
    /** Whole characters of text, never part of a stop text. Empty only where log-probabilities remain to be told. */
    readonly type: 'text'
    readonly choice: number
    readonly text: string
    /** Tokens of the choice that were drawn so far. */
    readonly drawnTokens: number
    readonly logprobs?: readonly TextLogprob[]
  }
  | {
    readonly type: 'choice-finished'
    readonly choice: number
    readonly reason: FinishReason
    /** The stop text that ended it; null when an end token or a limit did. */
    readonly stopText: string | null
    readonly completionTokens: number
  }
  | {
    /** The last event. Tokens over all choices; a prompt shared by several choices counts once. */
    readonly type: 'finished'
    readonly promptTokens: number
    readonly cachedTokens: number
    readonly completionTokens: number
  }

/** A text, which gets the model's frame around it, or tokens as they are. */
export type EmbeddingInput =
  | { readonly text: string }
  | { readonly tokens: readonly Token[] }

export interface EmbeddingRequest {
  readonly id: RequestId
  readonly tenant: TenantId
  /** The tenant's share of the service, relative to others'; 1 where nothing is said. */
  readonly weight?: number
  /** `normal` where nothing is said. */
  readonly priority?: Priority
  /** At least one; each becomes a vector of its own, whatever the others are. */
  readonly inputs: readonly EmbeddingInput[]
  /** What the texts are ranked by; given to models that rank, and to no others. */
  readonly query?: string
  /** What the client calls the list of its inputs, for errors. */
  readonly param: string
  /** Longest wait for the first turn, and longest time in all, from now. */
  readonly queueTimeoutMs: Millis
  readonly timeoutMs: Millis
}

export type EmbeddingEvent =
  | {
    /** The first event: the request is valid and queued. Tokens over all inputs. */
    readonly type: 'accepted'
    readonly promptTokens: number
  }
  | {
    /** Once for each input, in any order. */
    readonly type: 'embedded'
    readonly input: number
    /** Of whatever length; for models that rank a single number, 0 to 1. */
    readonly vector: Float32Array
  }
  | {
    /** The last event. */
    readonly type: 'finished'
    readonly promptTokens: number
    /** What the request waited for its first turn. */
    readonly queuedMs: Millis
  }

/**
 * All that chat and http know of models that run. The engine process holds the local implementation, the server process
 * the remote one; tests may use the local one in-process. Every implementation passes the suite in
 * `test/contract/inference`.
 */
export interface Inference extends AsyncDisposable {
  /** What is loaded. Stable once the inference is ready. */
  readonly info: EngineInfo

  /**
   * Runs one request. The iterable is used once; ending it early, or the signal, frees its slots before the next step.
   * A slow reader never slows a step.
   *
   * @throws ServerError `context_length_exceeded`, `invalid_value`, `invalid_grammar`, `queue_full` before the first event;
   * `queue_timeout`, `generation_timeout`, `engine_crashed`, `engine_error`, `server_draining` at any time;
   * `request_aborted` when the signal fired.
   */
  generate (request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent>

  /**
   * Makes vectors of texts. As with `generate`, the iterable is used once, and ending it early, or the signal, takes the inputs that
   * are left out of the queue.
   *
   * @throws ServerError `unsupported_value` when the model makes no vectors of such inputs, `context_length_exceeded`, `queue_full`
   * before the first event; the others of `generate` at any time
   */
  embed (request: EmbeddingRequest, signal: AbortSignal): AsyncIterable<EmbeddingEvent>

  /**
   * Tokens of a prompt as `generate` would see them; with BOS, those of an embedding model's input as `embed` would.
   * @throws ServerError `invalid_value` for more than a megabyte that is no prompt of this model.
   */
  tokenize (prompt: Prompt, options: { readonly addBos: boolean }): Promise<readonly Token[]>

  /**
   * Text of tokens; control tokens by their literals.
   * @throws ServerError `invalid_value` for more than 262,144 tokens that are no prompt of this model.
   */
  detokenize (tokens: readonly Token[]): Promise<string>

  /** The latest known numbers; never waits for a step. */
  snapshot (): InferenceSnapshot

  /** Stops taking requests (`server_draining`), lets the running ones finish, then disposes. */
  close (): Promise<void>

  /** Ends running requests with the error, then disposes; does not wait for them. */
  destroy (error: Error): Promise<void>
}

export interface InferenceSnapshot extends SchedulerSnapshot {
  /** Durations of the steps, summed over lanes, since start. */
  readonly stepSeconds: number
  /** Requests in this process: queued or running. */
  readonly requests: number
  /** Inputs that became vectors; their tokens are among those of prompts, their forward passes among the steps. */
  readonly embeddedInputs: number
}
