import { z } from 'zod'
import { loraMembers } from './lora.ts'
import { samplingMembers } from './sampling-options.ts'
import { serviceClassMembers } from './service-class.ts'
import { promptForms, tokenListSchema } from './token-list.ts'
import { wireForms, withKeywords } from './wire-form.ts'

/** A text, or tokens as they are. */
export type PromptInput = string | readonly number[]

const tokensSchema = tokenListSchema(16_777_216).refine((tokens) => tokens.length > 0, 'expected at least one token')
  .register(wireForms, { form: withKeywords({ minItems: 1 }) })

const isTokenList = (value: unknown): boolean => Array.isArray(value) && typeof value[0] === 'number'

/** OpenAI's four forms (text, texts, tokens, lists of tokens) as a list of prompts. */
const promptSchema = z.preprocess(
  (value) => typeof value === 'string' || isTokenList(value) ? [value] : value,
  z.array(
    z.union([z.string(), tokensSchema], 'expected a string or a list of tokens'),
    { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string, a list of strings, a list of tokens or a list of these lists' }
  ).min(1).max(128)
).register(wireForms, { form: promptForms() })

export const completionRequestSchema = z.strictObject({
  ...samplingMembers,
  ...serviceClassMembers,
  ...loraMembers,
  model: z.string().min(1).max(1024),
  prompt: promptSchema,
  // OpenAI's default.
  max_tokens: z.int().min(1).default(16),
  echo: z.boolean().default(false),
  best_of: z.int().min(1).optional(),
  logprobs: z.int().min(0).max(20).optional()
})

export type CompletionRequest = z.output<typeof completionRequestSchema>

/** As OpenAI has it, no prompt is the beginning of a document; one that is left out is a mistake all the same. */
export const withPrompt = (raw: unknown): unknown =>
  typeof raw === 'object' && raw !== null && 'prompt' in raw && raw.prompt === null ? { ...raw, prompt: '' } : raw
