import type { AdapterKey } from '../domain/adapter-set.ts'
import type { LaneId, Token } from '../domain/ids.ts'
import type { Pooling } from '../domain/pooling.ts'
import type { StepPlan, WorkOutcome } from '../scheduler/plan.ts'

/** What a model file says of itself, as far as the rooms above need it. */
export interface ModelInfo {
  /** `general.architecture`, for example `llama`; `fake` for the fake engine. */
  readonly architecture: string
  /** `general.name`, or null where the file has none. */
  readonly name: string | null
  readonly parameterCount: number
  readonly sizeBytes: number
  /** The longest context the model was trained on, in tokens. */
  readonly trainContextSize: number
  readonly vocabularySize: number
  /**
   * No token stands for more bytes of text, control tokens' literals included. May be too high, never too low; the largest safe integer
   * where there is no limit.
   */
  readonly longestTokenBytes: number
  /** Jinja source of the chat template, or null where the file has none. */
  readonly chatTemplate: string | null
  /** Texts of the special tokens, as a template's `bos_token` and `eos_token`; empty where the model has none. */
  readonly bosText: string
  readonly eosText: string
  readonly bosToken: Token | null
  /** Whether a prompt starts with the BOS token unless it already does. */
  readonly addsBos: boolean
  /** Literal texts of all control tokens. Users' text must never become one of them. */
  readonly controlTexts: readonly string[]
}

export interface EngineInfo {
  readonly model: ModelInfo
  /** `llama-cpp` or `fake`. */
  readonly backend: string
  /** Version, build and device: what `system_fingerprint` is made of. */
  readonly build: string
  /** Where the weights are: for example `cpu`, or `cuda: NVIDIA H200, 29 of 29 layers`. */
  readonly placement: string
  /** Whether forward passes run on a GPU, all or in part: lanes that step at the same time then do not share the processor's cores. */
  readonly isOnGpu: boolean
  readonly laneCount: number
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  /** Most tokens in one step of one lane. */
  readonly maxStepTokens: number
  /** Threads to share out among the lanes that step at the same time. */
  readonly threads: number
  /** Whether attention is computed in one pass over the cache. Changes the last digits of the logits. */
  readonly flashAttention: boolean
  /** End-of-generation tokens. */
  readonly endTokens: readonly Token[]
  /** The smaller model that makes guesses; absent where there is none. */
  readonly draftModel?: DraftModelInfo
  /** Whether it writes text; it does where nothing is said. One that does not has no use for slots. */
  readonly canGenerate?: boolean
  /** Absent where it makes no vectors. */
  readonly embedding?: EmbeddingInfo
}

/** What a model makes of texts beside answers. */
export interface EmbeddingInfo {
  readonly pooling: Pooling
  /** Numbers of a vector; 1 for `rank`. */
  readonly size: number
  /** Most tokens of an input, those of the frame included: it is computed in one step. */
  readonly maxTokens: number
  /** As many lanes, from the first one on, can embed. */
  readonly laneCount: number
  readonly frame: InputFrame
}

/** Tokens around the text of an input. */
export interface InputFrame {
  readonly before: readonly Token[]
  /** Between a query and a document. */
  readonly between: readonly Token[]
  readonly after: readonly Token[]
}

export interface DraftModelInfo {
  /** `general.name`, or null where the file has none. */
  readonly name: string | null
  readonly parameterCount: number
  readonly sizeBytes: number
}

/** Turns text into tokens and back. Synchronous and cheap; never waits for a step. */
export interface Tokenizer {
  /**
   * @param options.special whether the texts of control tokens become those tokens. Only template text may; users' text
   * never. BOS is not added here.
   */
  tokenize (text: string, options: { readonly special: boolean }): Token[]
  /**
   * The exact bytes that a token stands for in running text; empty for control tokens. May be part of a UTF-8 character.
   * Concatenated over `tokenize(text)` they give the bytes of `text` again (models that add a leading space aside).
   */
  tokenBytes (token: Token): Uint8Array
  /** The token's own text for people: control tokens by their literal (`<|im_end|>`), part characters as U+FFFD. */
  tokenText (token: Token): string
}

export interface AdapterFile {
  /** Path of a LoRA GGUF on this machine. */
  readonly path: string
}

/**
 * Runs forward passes. It knows slots, tokens and samplers, and nothing of requests, queues or fairness. Every
 * implementation passes the suite in `test/contract/engine`.
 */
export interface Engine extends AsyncDisposable {
  readonly info: EngineInfo
  readonly tokenizer: Tokenizer

  /**
   * One forward pass. Lanes may step at the same time; a lane never twice at once. The decode has begun when the call
   * returns, so that the caller can do other work until the promise settles.
   *
   * @throws (rejects) only if the whole step is lost; the caches of the slots in it are then unknown.
   */
  step (plan: StepPlan): Promise<readonly WorkOutcome[]>

  /**
   * One forward pass over one input, frame and all, that leaves nothing behind. Not while the lane steps or embeds.
   *
   * @param lane one of those that can embed
   * @param tokens at least 1, at most `info.embedding.maxTokens`
   * @returns the pooled vector as the model gives it, of whatever length; for `rank` the probability that the document answers the
   * query
   * @throws (rejects) ServerError `engine_error`
   */
  embed (lane: LaneId, tokens: readonly Token[]): Promise<Float32Array>

  /**
   * Checks a grammar without using it.
   * @throws ServerError `invalid_grammar`
   */
  checkGrammar (grammar: string): void

  /**
   * Loads a LoRA file under a key that plans then name in their adapter sets.
   * @throws ServerError `invalid_adapter` when the file is not an adapter of this model; the engine goes on.
   */
  loadAdapter (key: AdapterKey, file: AdapterFile, signal: AbortSignal): Promise<void>

  /** Frees an adapter. No plan may name it from now on. Unknown keys are ignored. */
  unloadAdapter (key: AdapterKey): Promise<void>
}
