import { z } from 'zod'
import type { ToolDefinition } from '../../chat/chat-message.ts'
import { cacheControlSchema, messageSchema, textBlocksSchema } from './message-content.ts'
import type { ParameterPolicies, ParameterPolicy } from './parameter-policy.ts'
import { jsonObjectSchema, maxTools } from './tools.ts'

const maxMessages = 4096
const maxStopTexts = 16

const toolNameSchema = z.string().regex(/^[a-zA-Z0-9_-]{1,128}$/, 'expected a name of 1 to 128 letters, digits, "_" and "-"')

const toolSchema = z.strictObject({
  type: z.literal('custom').nullish(),
  name: toolNameSchema,
  description: z.string().nullish(),
  input_schema: jsonObjectSchema,
  strict: z.boolean().nullish(),
  cache_control: cacheControlSchema,
  // Arguments are always streamed as they are written.
  eager_input_streaming: z.boolean().nullish(),
  defer_loading: z.literal(false).nullish(),
  allowed_callers: z.array(z.literal('direct')).nullish(),
  input_examples: z.array(z.never()).max(0).nullish()
}).transform(({ name, description, input_schema: parameters, strict }): ToolDefinition => ({
  name,
  ...(description == null ? {} : { description }),
  parameters,
  isStrict: strict ?? false
}))

const parallelMember = { disable_parallel_tool_use: z.boolean().nullish() }

const toolChoiceSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auto'), ...parallelMember }),
  z.strictObject({ type: z.literal('any'), ...parallelMember }),
  z.strictObject({ type: z.literal('tool'), name: toolNameSchema, ...parallelMember }),
  z.strictObject({ type: z.literal('none') })
])

/** With `omitted`, thinking is told by its signature alone. */
const displayMember = { display: z.enum(['summarized', 'omitted']).nullish() }

const thinkingSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('enabled'), budget_tokens: z.int().min(1024), ...displayMember }),
  z.strictObject({ type: z.literal('adaptive'), ...displayMember }),
  z.strictObject({ type: z.literal('disabled') })
])

const outputFormatSchema = z.strictObject({ type: z.literal('json_schema'), schema: jsonObjectSchema })

/** What decides the prompt. */
const promptMembers = {
  model: z.string().min(1).max(1024),
  messages: z.array(messageSchema).min(1).max(maxMessages),
  system: textBlocksSchema.optional(),
  tools: z.array(toolSchema).max(maxTools).default([]),
  tool_choice: toolChoiceSchema.optional(),
  thinking: thinkingSchema.optional(),
  output_config: z.strictObject({
    effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
    format: outputFormatSchema.nullish()
  }).optional(),
  /** The format's older place. */
  output_format: outputFormatSchema.optional(),
  cache_control: cacheControlSchema
}

/** Body of `POST /v1/messages/count_tokens`. */
export const countMessageTokensRequestSchema = z.strictObject(promptMembers)

export type MessagePrompt = z.output<typeof countMessageTokensRequestSchema>

/** Body of `POST /v1/messages`. */
export const messageRequestSchema = z.strictObject({
  ...promptMembers,
  max_tokens: z.int().min(1),
  stop_sequences: z.array(z.string().min(1).max(1024)).max(maxStopTexts).default([]),
  stream: z.boolean().default(false),
  temperature: z.number().min(0).max(1).default(1),
  top_p: z.number().min(0).max(1).default(1),
  top_k: z.int().min(0).default(0),
  metadata: z.strictObject({ user_id: z.string().max(512).nullish() }).optional(),
  /** The key's own class of service is used for either. */
  service_tier: z.enum(['auto', 'standard_only']).default('auto')
})

export type MessageRequest = z.output<typeof messageRequestSchema>

/** Agents ask by default for what happens anyway. */
const keepsAllSchema = z.strictObject({
  edits: z.array(z.strictObject({ type: z.literal('clear_thinking_20251015'), keep: z.literal('all') })).max(16).nullish()
})

const never = (advice: string): ParameterPolicy => ({ accepted: z.never(), advice })

/** What Anthropic's API has, and this server does not. */
export const messageParameterPolicies = {
  speed: { accepted: z.literal('standard'), advice: 'Only "standard" is supported.' },
  mcp_servers: { accepted: z.array(z.never()).max(0), advice: 'This server calls no other servers; send the tools in "tools".' },
  container: never('This server runs no code.'),
  context_management: { accepted: keepsAllSchema, advice: 'Conversations are used as they are sent.' },
  compaction: never('Conversations are used as they are sent.'),
  thread: never('Conversations are not kept; send all messages.'),
  diagnostics: never('The prefix cache is always on; "usage" says how much of a prompt was in it.'),
  inference_geo: never('This server is where it is.'),
  fallbacks: never('There is no other model that would answer instead.'),
  fallback_credit_token: never('There is no other model that would answer instead.'),
  billing_policy: never('Nothing is billed here.'),
  prompt: never('Use "messages".'),
  max_tokens_to_sample: never('Use "max_tokens".')
} satisfies ParameterPolicies
