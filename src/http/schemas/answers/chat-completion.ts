import { z } from 'zod'
import { wireForms } from '../wire-form.ts'
import { usageSchema } from './usage.ts'

const candidate = { token: z.string(), logprob: z.number(), bytes: z.array(z.int().min(0).max(255)) }

/** Of one token. */
export const tokenLogprobSchema = z.strictObject({ ...candidate, top_logprobs: z.array(z.strictObject(candidate)) })
  .register(wireForms, { id: 'TokenLogprob' })

const logprobsSchema = z.strictObject({ content: z.array(tokenLogprobSchema), refusal: z.null() }).nullable()
const finishReasonSchema = z.enum(['stop', 'length', 'tool_calls'])

/** What every answer and every chunk begins and ends with. */
export const identityMembers = {
  id: z.string(),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string(),
  service_tier: z.enum(['default', 'flex', 'priority'])
}

export const chatCompletionSchema = z.strictObject({
  ...identityMembers,
  object: z.literal('chat.completion'),
  choices: z.array(z.strictObject({
    index: z.int(),
    message: z.strictObject({
      role: z.literal('assistant'),
      content: z.string().nullable(),
      refusal: z.null(),
      annotations: z.array(z.never()).max(0),
      reasoning_content: z.string().optional(),
      reasoning: z.string().optional(),
      tool_calls: z.array(z.strictObject({
        id: z.string(),
        type: z.literal('function'),
        function: z.strictObject({ name: z.string(), arguments: z.string() })
      })).optional()
    }),
    logprobs: logprobsSchema,
    finish_reason: finishReasonSchema
  })),
  usage: usageSchema
}).register(wireForms, { id: 'ChatCompletion' })

export const chatCompletionChunkSchema = z.strictObject({
  ...identityMembers,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(z.strictObject({
    index: z.int(),
    delta: z.strictObject({
      role: z.literal('assistant').optional(),
      content: z.string().nullish(),
      refusal: z.null().optional(),
      reasoning_content: z.string().optional(),
      reasoning: z.string().optional(),
      tool_calls: z.array(z.strictObject({
        index: z.int(),
        id: z.string().optional(),
        type: z.literal('function').optional(),
        function: z.strictObject({ name: z.string().optional(), arguments: z.string() })
      })).optional()
    }),
    logprobs: logprobsSchema,
    finish_reason: finishReasonSchema.nullable()
  })),
  // Where `stream_options` asks for it; null in all chunks but the last.
  usage: usageSchema.nullish()
}).register(wireForms, { id: 'ChatCompletionChunk' })
