import { z } from 'zod'
import { boundedRecord } from './bounded-record.ts'
import { wireForms, withKeywords } from './wire-form.ts'

/**
 * A parameter that clients know from other servers and that has no effect here. Its `accepted` values are taken and
 * dropped because ignoring them keeps the request's meaning; every other value is refused, never silently dropped.
 */
export interface ParameterPolicy {
  readonly accepted: z.ZodType
  /** A sentence for the client whose value is refused. */
  readonly advice: string
}

export type ParameterPolicies = Readonly<Record<string, ParameterPolicy>>

export const never = (advice: string): ParameterPolicy => ({ accepted: z.never(), advice })
export const only = (accepted: z.ZodType, advice: string): ParameterPolicy => ({ accepted, advice })
const notYet = (what: string): string => `${what} is not supported by this version.`

const samplerAdvice = 'This sampler is not supported; temperature, top_p, top_k, min_p, xtc_probability and dry_multiplier are.'
const outputAdvice = (instead: string): string => `Use ${instead} instead.`
const stopTokenAdvice = 'Use "stop" with texts, or "logit_bias".'
const nothing = z.array(z.never()).max(0)

/** What both completion endpoints know of. */
export const sharedPolicies = {
  // Without effect on the answer.
  user: only(z.string(), 'It must be a string.'),
  cache_prompt: only(z.literal(true), 'The prefix cache is always on.'),
  use_beam_search: only(z.literal(false), notYet('Beam search')),
  length_penalty: only(z.literal(1), notYet('Beam search')),
  early_stopping: only(z.literal(false), notYet('Beam search')),
  skip_special_tokens: only(z.literal(true), 'Control tokens are never part of an answer.'),
  spaces_between_special_tokens: only(z.boolean(), 'It must be true or false.'),
  include_stop_str_in_output: only(z.literal(false), 'Stop texts are never part of an answer.'),
  typical_p: only(z.literal(1), samplerAdvice),
  tfs_z: only(z.literal(1), samplerAdvice),
  mirostat: only(z.literal(0), samplerAdvice),
  dynatemp_range: only(z.literal(0), samplerAdvice),
  // Known elsewhere, not here.
  stop_token_ids: only(nothing, stopTokenAdvice),
  bad_words: only(nothing, stopTokenAdvice),
  allowed_token_ids: never(stopTokenAdvice),
  n_predict: never('Use "max_tokens".'),
  truncate_prompt_tokens: never('Prompts are never truncated; shorten the prompt.'),
  prompt_logprobs: never('Log-probabilities of the prompt are not supported.'),
  json_schema: never(outputAdvice('"response_format"')),
  guided_json: never(outputAdvice('"structured_outputs": {"json": …}')),
  guided_regex: never(outputAdvice('"structured_outputs": {"regex": …}')),
  guided_choice: never(outputAdvice('"structured_outputs": {"choice": […]}')),
  guided_grammar: never(outputAdvice('"grammar"')),
  id_slot: only(z.literal(-1), 'The scheduler chooses the slot.')
} satisfies ParameterPolicies

/** With OpenAI's limits. */
export const metadataSchema = boundedRecord(z.string().max(512), 16, 'pairs')
  .refine((metadata) => Object.keys(metadata).every((key) => key.length <= 64))
  .register(wireForms, { form: withKeywords({ propertyNames: { maxLength: 64 } }) })
const metadataAdvice = 'It must be an object of at most 16 strings.'
const toolAdvice = 'Use "tools" and "tool_choice".'

export const chatParameterPolicies = {
  ...sharedPolicies,
  // Without effect on the answer.
  metadata: only(metadataSchema, metadataAdvice),
  safety_identifier: only(z.string().max(64), 'It must be a string of at most 64 characters.'),
  prompt_cache_key: only(z.string(), 'It must be a string.'),
  prompt_cache_retention: only(z.enum(['in_memory', 'in-memory', '24h']), 'It must be "in_memory" or "24h".'),
  prompt_cache_options: only(z.looseObject({}), 'It must be an object.'),
  // One value is what happens anyway.
  store: only(z.literal(false), 'Stored completions are not supported; leave "store" out or set it to false.'),
  modalities: only(z.array(z.literal('text')).length(1), 'Only ["text"] is supported.'),
  verbosity: only(z.literal('medium'), 'Only "medium" is accepted; say in the prompt how long the answer should be.'),
  functions: only(nothing, toolAdvice),
  function_call: only(z.enum(['none', 'auto']), toolAdvice),
  echo: only(z.literal(false), 'Use /v1/completions to get the prompt back.'),
  best_of: only(z.literal(1), 'Use "n".'),
  // Not here.
  audio: never('Audio output is not supported.'),
  web_search_options: never('This server has no web search.'),
  moderation: never('This server has no moderation.'),
  chat_template: never('The model\'s own chat template is always used.'),
  documents: never(notYet('"documents"')),
  prompt: never('Use "messages", or /v1/completions.')
} satisfies ParameterPolicies

export const completionParameterPolicies = {
  ...sharedPolicies,
  metadata: only(metadataSchema, metadataAdvice),
  suffix: only(z.literal(''), 'Filling in between a prompt and a suffix is not supported; send a prompt without "suffix".'),
  store: only(z.literal(false), 'Stored completions are not supported; leave "store" out or set it to false.'),
  max_completion_tokens: never('Use "max_tokens".'),
  messages: never('Use "prompt", or /v1/chat/completions.'),
  tools: never('Use /v1/chat/completions.')
} satisfies ParameterPolicies

const wholeAdvice = 'Inputs are never truncated; shorten or split them.'
const prefixAdvice = 'Texts are read as they are; write the model\'s prefix for queries or documents into them.'

export const embeddingParameterPolicies = {
  user: only(z.string(), 'It must be a string.'),
  truncate_prompt_tokens: never(wholeAdvice),
  truncate: only(z.literal(false), wholeAdvice),
  input_type: never(prefixAdvice),
  task: never(prefixAdvice),
  prompt: never('Use "input".'),
  normalized: only(z.literal(true), 'Vectors always have the length 1.'),
  normalize: only(z.literal(true), 'Vectors always have the length 1.'),
  embedding_type: only(z.literal('float'), 'Use "encoding_format".'),
  lora: never('Embeddings are made without adapters.')
} satisfies ParameterPolicies

export const rerankParameterPolicies = {
  user: only(z.string(), 'It must be a string.'),
  truncate_prompt_tokens: never(wholeAdvice),
  truncate: only(z.literal(false), wholeAdvice),
  truncation: only(z.literal(false), wholeAdvice),
  max_chunks_per_doc: never(wholeAdvice),
  max_tokens_per_doc: never(wholeAdvice),
  rank_fields: only(z.array(z.literal('text')).length(1), 'Documents are ranked by their "text".'),
  top_k: never('Use "top_n".'),
  lora: never('Documents are ranked without adapters.')
} satisfies ParameterPolicies
