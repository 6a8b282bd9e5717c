import { ServerError } from '../domain/errors.ts'
import type { Token } from '../domain/ids.ts'
import type { EngineInfo } from '../engine/engine.ts'
import type { EmbeddingRequest, Prompt } from './inference.ts'

/*
 * Tokenizing happens between two steps and takes about half a second for a megabyte: whatever is too long for an answer
 * anyway must be refused by its size alone, or one request of the largest body that is allowed would stop all others for
 * many seconds. Both ends of an engine process's channel look: the server's so that it is not even sent.
 */

/** `longestTokenBytes` of models with a token for words that they do not know, of whatever length. */
const NO_LONGEST_TOKEN = Number.MAX_SAFE_INTEGER

/** Bytes of text, and tokens, that are turned into the other at once although no prompt is that long. */
const LONGEST_TEXT_BYTES = 1024 * 1024
const MOST_TOKENS = 256 * 1024

/** Of all inputs of a request for vectors: they wait in memory. */
const MOST_EMBEDDED_TOKENS = 4 * 1024 * 1024

/** Why a prompt cannot fit, whatever its tokens are; null when it has to be tokenized to know. */
export function promptRefusal (prompt: Prompt, info: EngineInfo, contextLimit = Infinity): ServerError | null {
  if ('tokens' in prompt) return lengthRefusal(prompt.tokens.length, info, contextLimit)
  const leastTokens = leastTokensOf(prompt, info)
  return leastTokens < Math.min(info.contextSize, contextLimit) ? null : tooLong(`at least ${leastTokens}`, info, contextLimit)
}

/** No fewer tokens than that are in a prompt. */
export const leastTokensOf = (prompt: Prompt, { model }: EngineInfo): number =>
  'tokens' in prompt ? prompt.tokens.length : Math.ceil(bytesOf(prompt) / model.longestTokenBytes)

/** Why a prediction is not read: no answer is that long. */
export function predictionRefusal (text: string | undefined, { contextSize, model }: EngineInfo): ServerError | null {
  const leastTokens = Math.ceil(Buffer.byteLength(text ?? '') / model.longestTokenBytes)
  if (leastTokens <= contextSize) return null
  return new ServerError('invalid_value',
    `Invalid value for 'prediction': it has at least ${leastTokens} tokens, and this model's answers at most ${contextSize}`, { param: 'prediction' })
}

/** Why a prompt of so many tokens cannot be answered. */
export function lengthRefusal (tokens: number, info: EngineInfo, contextLimit = Infinity): ServerError | null {
  return tokens < Math.min(info.contextSize, contextLimit) ? null : tooLong(String(tokens), info, contextLimit)
}

const tooLong = (tokens: string, { contextSize }: EngineInfo, contextLimit: number): ServerError => new ServerError('context_length_exceeded',
  `${contextLimit < contextSize ? `Your key's limit is a context of ${contextLimit} tokens` : `This model's maximum context length is ${contextSize} tokens`}, and the prompt has ${tokens}. ` +
  'Shorten the prompt so that at least one token of answer fits.')

/** Why a text is not tokenized. */
export function tokenizeRefusal (prompt: Prompt, info: EngineInfo): ServerError | null {
  return 'tokens' in prompt ? null : sizeRefusal(bytesOf(prompt), info)
}

function sizeRefusal (bytes: number, { contextSize, model: { longestTokenBytes } }: EngineInfo, param?: string): ServerError | null {
  const limit = longestTokenBytes === NO_LONGEST_TOKEN ? LONGEST_TEXT_BYTES : Math.max(LONGEST_TEXT_BYTES, contextSize * longestTokenBytes)
  if (bytes <= limit) return null
  return new ServerError('invalid_value',
    `The text has ${bytes} bytes, and at most ${limit} are tokenized at once; send it in several parts`, { param })
}

/** Why inputs cannot become vectors, whatever their tokens are; null when they have to be tokenized to know. */
export function embeddingRefusal ({ inputs, query, param }: EmbeddingRequest, info: EngineInfo): ServerError | null {
  const { embedding } = info
  if (embedding === undefined) return new ServerError('unsupported_value', 'The model makes no vectors of texts', { param: 'model' })
  if ((query !== undefined) !== (embedding.pooling === 'rank')) {
    return new ServerError('unsupported_value', query === undefined
      ? 'The model ranks documents, and makes no vectors of texts'
      : 'The model makes vectors of texts, and does not rank documents', { param: 'model' })
  }
  const queryBytes = query === undefined ? 0 : Buffer.byteLength(query)
  for (const [index, input] of inputs.entries()) {
    const name = `${param}[${index}]`
    const refusal = 'tokens' in input
      ? inputLengthRefusal(input.tokens.length, info, name)
      : textRefusal(queryBytes + Buffer.byteLength(input.text), embedding.maxTokens, info, name)
    if (refusal !== null) return refusal
  }
  return null
}

function textRefusal (bytes: number, maxTokens: number, info: EngineInfo, name: string): ServerError | null {
  // The frame is not counted: it may be there without any bytes.
  const leastTokens = Math.ceil(bytes / info.model.longestTokenBytes)
  return leastTokens > maxTokens ? inputTooLong(`at least ${leastTokens}`, info, name) : sizeRefusal(bytes, info, name)
}

/** Why an input of so many tokens cannot become a vector. */
export function inputLengthRefusal (tokens: number, info: EngineInfo, name: string): ServerError | null {
  if (tokens === 0) return new ServerError('invalid_value', `Invalid value for '${name}': it has no tokens`, { param: name })
  return tokens <= (info.embedding?.maxTokens ?? 0) ? null : inputTooLong(String(tokens), info, name)
}

const inputTooLong = (tokens: string, { embedding }: EngineInfo, name: string): ServerError => new ServerError('context_length_exceeded',
  `This model's maximum input length is ${embedding?.maxTokens} tokens, and '${name}' has ${tokens}`, { param: name })

/** Why the inputs of a request, which have at least so many tokens, are too many: a query counts for each document anew. */
export function requestLengthRefusal (tokens: number, param: string): ServerError | null {
  if (tokens <= MOST_EMBEDDED_TOKENS) return null
  return new ServerError('invalid_value',
    `Invalid value for '${param}': a request's inputs may have ${MOST_EMBEDDED_TOKENS} tokens, and these have more; send them in several requests`, { param })
}

/** Why tokens are not turned into text. */
export function detokenizeRefusal (tokens: readonly Token[], { contextSize }: EngineInfo): ServerError | null {
  const limit = Math.max(MOST_TOKENS, contextSize)
  if (tokens.length <= limit) return null
  return new ServerError('invalid_value',
    `There are ${tokens.length} tokens, and at most ${limit} are turned into text at once; send them in several parts`,
    { param: 'tokens' })
}

export function bytesOf (prompt: Extract<Prompt, { readonly segments: unknown }>): number {
  return prompt.segments.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
}
