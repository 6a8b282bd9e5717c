import { z } from 'zod'
import { wireForms } from '../wire-form.ts'
import { identityMembers } from './chat-completion.ts'
import { usageSchema } from './usage.ts'

const choiceMembers = {
  index: z.int(),
  text: z.string(),
  logprobs: z.strictObject({
    tokens: z.array(z.string()),
    token_logprobs: z.array(z.number()),
    top_logprobs: z.array(z.record(z.string(), z.number())),
    text_offset: z.array(z.int())
  }).nullable()
}
const finishReasonSchema = z.enum(['stop', 'length'])

export const completionSchema = z.strictObject({
  ...identityMembers,
  object: z.literal('text_completion'),
  choices: z.array(z.strictObject({ ...choiceMembers, finish_reason: finishReasonSchema })),
  usage: usageSchema
}).register(wireForms, { id: 'Completion' })

export const completionChunkSchema = z.strictObject({
  ...identityMembers,
  object: z.literal('text_completion'),
  choices: z.array(z.strictObject({ ...choiceMembers, finish_reason: finishReasonSchema.nullable() })),
  usage: usageSchema.nullish()
}).register(wireForms, { id: 'CompletionChunk' })
