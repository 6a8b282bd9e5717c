import { z } from 'zod'
import { wireForms } from '../wire-form.ts'
import { anthropicErrorSchema } from './error.ts'

const count = z.int().min(0)
const callerSchema = z.strictObject({ type: z.literal('direct') })

const textSchema = z.strictObject({ type: z.literal('text'), text: z.string(), citations: z.null() })
const thinkingSchema = z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() })
const toolUseSchema = z.strictObject({
  type: z.literal('tool_use'),
  id: z.string(),
  name: z.string(),
  // A text where the model, or a limit, broke it off.
  input: z.union([z.looseObject({}), z.string()]),
  caller: callerSchema
})

const contentBlockSchema = z.discriminatedUnion('type', [textSchema, thinkingSchema, toolUseSchema]).register(wireForms, { id: 'ContentBlock' })

const deltaUsage = {
  input_tokens: count,
  cache_creation_input_tokens: count,
  cache_read_input_tokens: count,
  output_tokens: count,
  output_tokens_details: z.strictObject({ thinking_tokens: count }),
  server_tool_use: z.null()
}

const stopMembers = {
  stop_reason: z.enum(['end_turn', 'tool_use', 'stop_sequence', 'max_tokens', 'model_context_window_exceeded']).nullable(),
  stop_sequence: z.string().nullable(),
  stop_details: z.null(),
  container: z.null()
}

export const messageAnswerSchema = z.strictObject({
  id: z.string(),
  type: z.literal('message'),
  role: z.literal('assistant'),
  model: z.string(),
  content: z.array(contentBlockSchema),
  ...stopMembers,
  diagnostics: z.null(),
  usage: z.strictObject({
    ...deltaUsage,
    cache_creation: z.strictObject({ ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count }),
    inference_geo: z.null(),
    service_tier: z.enum(['standard', 'batch', 'priority']),
    speed: z.literal('standard')
  })
}).register(wireForms, { id: 'Message' })

/** An event of a message's stream. */
export const messageEventSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ping') }),
  z.strictObject({ type: z.literal('message_start'), message: messageAnswerSchema }),
  z.strictObject({ type: z.literal('content_block_start'), index: z.int(), content_block: contentBlockSchema }),
  z.strictObject({
    type: z.literal('content_block_delta'),
    index: z.int(),
    delta: z.discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text_delta'), text: z.string() }),
      z.strictObject({ type: z.literal('thinking_delta'), thinking: z.string() }),
      z.strictObject({ type: z.literal('signature_delta'), signature: z.string() }),
      z.strictObject({ type: z.literal('input_json_delta'), partial_json: z.string() })
    ])
  }),
  z.strictObject({ type: z.literal('content_block_stop'), index: z.int() }),
  z.strictObject({ type: z.literal('message_delta'), delta: z.strictObject(stopMembers), usage: z.strictObject(deltaUsage) }),
  z.strictObject({ type: z.literal('message_stop') }),
  anthropicErrorSchema
]).register(wireForms, { id: 'MessageEvent' })

export const messageTokensSchema = z.strictObject({ input_tokens: count })
