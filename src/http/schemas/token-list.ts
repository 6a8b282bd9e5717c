import { z } from 'zod'
import { type JsonSchema, wireForms } from './wire-form.ts'

/**
 * Numbers of tokens. Names the first one that is wrong and no others: the lists are long, and a schema for each member
 * would note all of them.
 * @param most the longest list
 */
export const tokenListSchema = (most: number) => z.custom<readonly unknown[]>(Array.isArray, 'expected a list of tokens')
  .register(wireForms, { form: () => ({ type: 'array', maxItems: most, items: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } }) })
  .superRefine((tokens, context) => {
    if (tokens.length > most) {
      context.addIssue({ code: 'too_big', origin: 'array', maximum: most, inclusive: true, input: tokens })
      return
    }
    const index = tokens.findIndex((token) => !Number.isSafeInteger(token) || (token as number) < 0)
    if (index !== -1) context.addIssue({ code: 'custom', path: [index], message: 'expected the number of a token', input: tokens[index] })
  })
  .transform((tokens) => tokens as readonly number[])

/** OpenAI's four forms of what a model reads: a text, texts, a list of tokens, lists of tokens; a list may mix texts and lists of tokens. */
export const promptForms = (text: JsonSchema = {}) => (list: JsonSchema): JsonSchema => {
  const [, tokens] = (list['items'] as { anyOf: JsonSchema[] }).anyOf
  return { anyOf: [{ type: 'string', ...text }, tokens, list] }
}
