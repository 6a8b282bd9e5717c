import { z } from 'zod'
import { serviceClassMembers } from './service-class.ts'
import { promptForms, tokenListSchema } from './token-list.ts'
import { wireForms, withKeywords } from './wire-form.ts'

const tokensSchema = tokenListSchema(1_000_000).refine((tokens) => tokens.length > 0, 'expected at least one token')
  .register(wireForms, { form: withKeywords({ minItems: 1 }) })

const isTokenList = (value: unknown): boolean => Array.isArray(value) && typeof value[0] === 'number'

/** OpenAI's four forms (text, texts, tokens, lists of tokens) as a list, of OpenAI's length. */
const inputSchema = z.preprocess(
  (value) => typeof value === 'string' || isTokenList(value) ? [value] : value,
  z.array(
    z.union([z.string().min(1), tokensSchema], 'expected a string that is not empty, or a list of tokens'),
    { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string, a list of strings, a list of tokens or a list of these lists' }
  ).min(1).max(2048)
).register(wireForms, { form: promptForms({ minLength: 1 }) })

export const embeddingRequestSchema = z.strictObject({
  ...serviceClassMembers,
  model: z.string().min(1).max(1024),
  input: inputSchema,
  encoding_format: z.enum(['float', 'base64']).default('float'),
  /** Numbers of each vector: its first ones. */
  dimensions: z.int().min(1).optional()
})
