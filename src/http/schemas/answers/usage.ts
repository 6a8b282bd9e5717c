import { z } from 'zod'
import { wireForms } from '../wire-form.ts'

const count = z.int().min(0)

/** Tokens of a request and its answer. */
export const usageSchema = z.strictObject({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  prompt_tokens_details: z.strictObject({ cached_tokens: count, audio_tokens: count }),
  completion_tokens_details: z.strictObject({
    reasoning_tokens: count, audio_tokens: count, accepted_prediction_tokens: count, rejected_prediction_tokens: count
  })
}).register(wireForms, { id: 'Usage' })

/** Tokens of what has no answer in tokens. */
export const promptUsageSchema = z.strictObject({ prompt_tokens: count, total_tokens: count }).register(wireForms, { id: 'PromptUsage' })
