import { z } from 'zod'
import { metadataSchema } from '../parameter-policy.ts'
import { responseRequestSchema } from '../response-request.ts'
import { wireForms } from '../wire-form.ts'
import { outputItemSchema } from './response-item.ts'

const count = z.int().min(0)
const { tool_choice: toolChoice } = responseRequestSchema.shape

/** A response. All of its members are always there. */
export const responseSchema = z.strictObject({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  background: z.boolean(),
  completed_at: z.int().nullable(),
  error: z.strictObject({ code: z.enum(['rate_limit_exceeded', 'invalid_prompt', 'server_error']), message: z.string() }).nullable(),
  incomplete_details: z.strictObject({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  max_tool_calls: z.int().nullable(),
  model: z.string(),
  output: z.array(outputItemSchema),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.string().nullable(),
  conversation: z.strictObject({ id: z.string() }).nullable(),
  prompt: z.null(),
  prompt_cache_key: z.string().nullable(),
  prompt_cache_retention: z.enum(['in_memory', '24h']).nullable(),
  reasoning: z.strictObject({ effort: z.string().nullable(), summary: z.enum(['auto', 'detailed']).nullable() }),
  safety_identifier: z.string().nullable(),
  service_tier: z.enum(['default', 'flex', 'priority']),
  store: z.boolean(),
  temperature: z.number(),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: z.int(),
  text: z.strictObject({
    format: z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('json_object') }),
      z.strictObject({ type: z.literal('json_schema'), name: z.string(), description: z.string().nullable(), schema: z.looseObject({}), strict: z.boolean() })
    ]),
    verbosity: z.literal('medium')
  }),
  tool_choice: toolChoice.unwrap(),
  tools: z.array(z.strictObject({
    type: z.literal('function'), name: z.string(), description: z.string().nullable(), parameters: z.looseObject({}).nullable(), strict: z.boolean()
  })),
  truncation: z.literal('disabled'),
  usage: z.strictObject({
    input_tokens: count,
    input_tokens_details: z.strictObject({ cached_tokens: count, cache_write_tokens: count }),
    output_tokens: count,
    output_tokens_details: z.strictObject({ reasoning_tokens: count }),
    total_tokens: count
  }).nullable(),
  user: z.string().nullable(),
  metadata: metadataSchema
}).register(wireForms, { id: 'Response' })

export const deletedResponseSchema = z.strictObject({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) })

export const inputTokensSchema = z.strictObject({ object: z.literal('response.input_tokens'), input_tokens: count })

export const conversationSchema = z.strictObject({
  id: z.string(), object: z.literal('conversation'), created_at: z.int(), metadata: metadataSchema
}).register(wireForms, { id: 'Conversation' })

export const deletedConversationSchema = z.strictObject({ id: z.string(), object: z.literal('conversation.deleted'), deleted: z.literal(true) })
