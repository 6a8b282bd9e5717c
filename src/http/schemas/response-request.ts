import { z } from 'zod'
import { reasoningEfforts } from '../../chat/reasoning-options.ts'
import { loraMembers } from './lora.ts'
import { formatNameSchema, schemaSchema } from './output-format.ts'
import { metadataSchema } from './parameter-policy.ts'
import { reasoningMembers } from './reasoning.ts'
import { maxItems } from './refuse-unsupported-items.ts'
import { itemSchema } from './response-items.ts'
import { samplingMembers } from './sampling-options.ts'
import { serviceClassMembers } from './service-class.ts'
import { maxTools, jsonObjectSchema, toolNameSchema } from './tools.ts'
import { orText, wireForms } from './wire-form.ts'

/** How to draw tokens, as in the chat endpoint, without what is said otherwise in this API. */
const drawingMembers = z.object(samplingMembers).omit({ n: true, stream_options: true, response_format: true }).shape

const toolSchema = z.strictObject({
  type: z.literal('function'),
  name: toolNameSchema,
  description: z.string().nullish(),
  parameters: jsonObjectSchema.nullish(),
  strict: z.boolean().nullish(),
  // Of programs that call tools, and of tools that are searched for: there are none here.
  allowed_callers: z.array(z.literal('direct')).nullish(),
  defer_loading: z.literal(false).nullish()
})

const namedToolSchema = z.strictObject({ type: z.literal('function'), name: toolNameSchema })

const toolChoiceSchema = z.union([
  z.enum(['none', 'auto', 'required']),
  z.discriminatedUnion('type', [
    namedToolSchema,
    z.strictObject({ type: z.literal('allowed_tools'), mode: z.enum(['auto', 'required']), tools: z.array(namedToolSchema).min(1).max(maxTools) })
  ])
], { error: ({ input }) => typeof input === 'object' ? undefined : 'expected "none", "auto", "required" or an object that names a function' })

const textFormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    name: formatNameSchema,
    description: z.string().nullish(),
    schema: schemaSchema,
    strict: z.boolean().nullish()
  })
])

const summarySchema = z.enum(['auto', 'detailed'], 'expected "auto" or "detailed": a summary is the reasoning itself, word for word').nullish()

/** OpenAI's values; most are about hosted tools and images, which no answer of this server has. */
const includableSchema = z.enum([
  'message.output_text.logprobs',
  'reasoning.encrypted_content',
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs'
])

export const itemsSchema = z.array(itemSchema, { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string or a list of items' }).max(maxItems)

const shortText = z.string().max(512)

export const responseRequestSchema = z.strictObject({
  ...drawingMembers,
  ...serviceClassMembers,
  ...loraMembers,
  reasoning_format: reasoningMembers.reasoning_format,
  chat_template_kwargs: reasoningMembers.chat_template_kwargs,
  model: z.string().min(1).max(1024),
  input: z.preprocess((input) => typeof input === 'string' ? [{ role: 'user', content: input }] : input, itemsSchema).register(wireForms, { form: orText() }).optional(),
  instructions: z.string().optional(),
  previous_response_id: z.string().min(1).max(256).optional(),
  conversation: z.union([
    z.string().min(1).max(256).transform((id) => ({ id })), z.strictObject({ id: z.string().min(1).max(256) })
  ], { error: () => 'expected the id of a conversation, or an object that holds it' }).optional(),
  tools: z.array(toolSchema).max(maxTools).default([]),
  tool_choice: toolChoiceSchema.default('auto'),
  parallel_tool_calls: z.boolean().default(true),
  text: z.strictObject({
    format: textFormatSchema.nullish(),
    verbosity: z.literal('medium', 'expected "medium"; say in the instructions how long the answer should be').nullish()
  }).default({}),
  reasoning: z.strictObject({
    effort: z.enum(reasoningEfforts).nullish(),
    summary: summarySchema,
    /** The older name of `summary`. */
    generate_summary: summarySchema,
    context: z.literal('auto').nullish(),
    mode: z.literal('standard').nullish()
  }).default({}),
  max_output_tokens: z.int().min(1).optional(),
  /** About hosted tools, which there are none of. */
  max_tool_calls: z.int().min(1).optional(),
  top_logprobs: z.int().min(0).max(20).optional(),
  include: z.array(includableSchema).max(16).default([]),
  metadata: metadataSchema.default({}),
  store: z.boolean().optional(),
  background: z.boolean().default(false),
  stream_options: z.strictObject({ include_obfuscation: z.literal(false).nullish() }).optional(),
  user: shortText.optional(),
  safety_identifier: shortText.optional(),
  prompt_cache_key: shortText.optional(),
  prompt_cache_retention: z.enum(['in_memory', 'in-memory', '24h']).optional()
})

export type ResponseRequest = z.output<typeof responseRequestSchema>
