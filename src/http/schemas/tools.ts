import { z } from 'zod'
import type { ToolCall, ToolDefinition } from '../../chat/chat-message.ts'
import { isDeeperThan, mostLevels } from '../../domain/is-deeper-than.ts'

/** OpenAI's limit. */
export const maxTools = 128
const maxCallsInMessage = 128

export const toolNameSchema = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'expected a name of 1 to 64 letters, digits, "_" and "-"')

export const callIdSchema = z.string().min(1).max(256)

/** A JSON object that may go into a prompt. */
export const jsonObjectSchema = z.record(z.string(), z.unknown())
  .refine((value) => !isDeeperThan(value, mostLevels), `expected at most ${mostLevels} levels`)

const functionSchema = z.strictObject({
  name: toolNameSchema,
  description: z.string().nullish(),
  parameters: jsonObjectSchema.nullish(),
  strict: z.boolean().nullish()
})

const toolSchema = z.strictObject({ type: z.literal('function'), function: functionSchema })
  .transform(({ function: { name, description, parameters, strict } }): ToolDefinition => ({
    name,
    ...(description == null ? {} : { description }),
    ...(parameters == null ? {} : { parameters }),
    isStrict: strict ?? false
  }))

const namedToolSchema = z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: toolNameSchema }) })

const allowedToolsSchema = z.strictObject({
  type: z.literal('allowed_tools'),
  allowed_tools: z.strictObject({ mode: z.enum(['auto', 'required']), tools: z.array(namedToolSchema).min(1).max(maxTools) })
})

/** What a request says of tools. */
export const toolMembers = {
  tools: z.array(toolSchema).max(maxTools).default([]),
  tool_choice: z.union([
    z.enum(['none', 'auto', 'required']),
    z.discriminatedUnion('type', [namedToolSchema, allowedToolsSchema])
  ], { error: ({ input }) => typeof input === 'object' ? undefined : 'expected "none", "auto", "required" or an object that names a function' }).optional(),
  parallel_tool_calls: z.boolean().default(true)
}

const toolCallSchema = z.strictObject({
  id: callIdSchema,
  type: z.literal('function').nullish(),
  function: z.strictObject({
    name: z.string().min(1).max(256),
    arguments: z.string(),
    // OpenAI's client adds it to what it parsed.
    parsed_arguments: z.unknown().optional()
  }),
  // Clients that put a stream together keep it.
  index: z.int().nullish()
}).transform(({ id, function: { name, arguments: text } }): ToolCall => ({ id, name, arguments: text }))

export const toolCallsSchema = z.array(toolCallSchema).max(maxCallsInMessage)
