import { z } from 'zod'
import type { FunctionCall, FunctionCallOutput, InputMessage, OutputMessage, ReasoningItem } from '../responses/response-item.ts'
import { callIdSchema } from './tools.ts'
import { type JsonSchema, orText, wireForms, withNullsForAbsent } from './wire-form.ts'

type Draft<Item> = Omit<Item, 'id'> & { readonly id: string | undefined }

/** An item of a request: its id may be missing, or it may only name one that is stored. */
export type ItemDraft =
  | Draft<InputMessage> | Draft<OutputMessage> | Draft<FunctionCall> | Draft<FunctionCallOutput> | Draft<ReasoningItem>
  | { readonly type: 'item_reference', readonly id: string }

const itemIdSchema = z.string().min(1).max(256)
const statusSchema = z.enum(['in_progress', 'completed', 'incomplete']).optional()
const callerSchema = z.strictObject({ type: z.literal('direct') }).optional()

const inputTextSchema = z.strictObject({
  type: z.literal('input_text'),
  text: z.string(),
  // The prefix cache finds the longest prefix by itself.
  prompt_cache_breakpoint: z.looseObject({}).nullish()
})

const answerPartSchema = z.discriminatedUnion('type', [
  inputTextSchema,
  z.strictObject({
    type: z.literal('output_text'),
    text: z.string(),
    annotations: z.array(z.unknown()).max(0).nullish(),
    logprobs: z.array(z.unknown()).nullish(),
    // OpenAI's client adds it to what it parsed.
    parsed: z.unknown().optional()
  }),
  z.strictObject({ type: z.literal('refusal'), refusal: z.string() })
])

const partsOf = <Part extends z.ZodType>(part: Part) => z.preprocess(
  (content) => typeof content === 'string' ? [{ type: 'input_text', text: content }] : content,
  z.array(part, { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string or a list of parts' })
).register(wireForms, { form: orText() })

const promptMessage = <Role extends 'user' | 'system' | 'developer'>(role: Role) => z.strictObject({
  type: z.literal('message'),
  role: z.literal(role),
  content: partsOf(inputTextSchema),
  id: itemIdSchema.optional(),
  status: statusSchema
})

const messageSchema = z.discriminatedUnion('role', [
  promptMessage('user'),
  promptMessage('system'),
  promptMessage('developer'),
  z.strictObject({
    type: z.literal('message'),
    role: z.literal('assistant'),
    content: partsOf(answerPartSchema),
    id: itemIdSchema.optional(),
    status: statusSchema,
    phase: z.enum(['commentary', 'final_answer']).optional()
  })
])

const functionCallSchema = z.strictObject({
  type: z.literal('function_call'),
  call_id: callIdSchema,
  name: z.string().min(1).max(256),
  arguments: z.string(),
  id: itemIdSchema.optional(),
  status: statusSchema,
  caller: callerSchema,
  created_by: z.string().optional(),
  // OpenAI's client adds it to what it parsed.
  parsed_arguments: z.unknown().optional()
})

const functionCallOutputSchema = z.strictObject({
  type: z.literal('function_call_output'),
  call_id: callIdSchema,
  output: z.union([z.string(), z.array(inputTextSchema)], { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string or a list of parts' }),
  id: itemIdSchema.optional(),
  status: statusSchema,
  caller: callerSchema,
  created_by: z.string().optional()
})

const reasoningSchema = z.strictObject({
  type: z.literal('reasoning'),
  summary: z.array(z.strictObject({ type: z.literal('summary_text'), text: z.string() })).default([]),
  content: z.array(z.strictObject({ type: z.literal('reasoning_text'), text: z.string() })).default([]),
  encrypted_content: z.string().optional(),
  id: itemIdSchema.optional(),
  status: statusSchema
})

const referenceSchema = z.strictObject({ type: z.literal('item_reference'), id: itemIdSchema })

const maxMembersOfItem = 64

/**
 * Clients send items back with all the members that their own types know, null where there was nothing, and write messages
 * and references without a type.
 */
function withType (item: unknown): unknown {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return item
  if (Object.keys(item).length > maxMembersOfItem) return item
  const members: Record<string, unknown> = Object.fromEntries(Object.entries(item).filter(([, value]) => value !== null))
  if (members['type'] !== undefined) return members
  const isReference = members['id'] !== undefined && members['role'] === undefined && members['content'] === undefined
  return { ...members, type: isReference ? 'item_reference' : 'message' }
}

type ParsedItem = z.output<typeof anyItemSchema>

const anyItemSchema = z.discriminatedUnion('type', [messageSchema, functionCallSchema, functionCallOutputSchema, reasoningSchema, referenceSchema])

function toDraft (item: ParsedItem): ItemDraft {
  switch (item.type) {
    case 'item_reference': return item
    case 'function_call': {
      const { id, name, status = 'completed' } = item
      return { id, type: 'function_call', status, call_id: item.call_id, name, arguments: item.arguments }
    }
    case 'function_call_output': {
      const { id, status = 'completed', output } = item
      return { id, type: 'function_call_output', status, call_id: item.call_id, output: typeof output === 'string' ? output : output.map(({ text }) => ({ type: 'input_text', text })) }
    }
    case 'reasoning': {
      const { id, status = 'completed', summary, content, encrypted_content: encrypted = null } = item
      return { id, type: 'reasoning', status, summary, content, encrypted_content: encrypted }
    }
    case 'message': {
      const { id, status = 'completed' } = item
      if (item.role !== 'assistant') {
        return { id, type: 'message', status, role: item.role, content: item.content.map(({ text }) => ({ type: 'input_text', text })) }
      }
      return {
        id,
        type: 'message',
        status,
        role: 'assistant',
        content: item.content.map((part) => part.type === 'refusal' ? part : { type: 'output_text', text: part.text, annotations: [], logprobs: [] })
      }
    }
  }
}

/** What {@link withType} makes good: nulls, and the types of messages and references. */
function itemForm (seen: JsonSchema): JsonSchema {
  const untyped = (schema: JsonSchema): JsonSchema => {
    if (Array.isArray(schema['oneOf'])) return { ...schema, oneOf: (schema['oneOf'] as JsonSchema[]).map(untyped) }
    const { properties, required = [] } = schema as { properties: Record<string, JsonSchema>, required?: string[] }
    const isUntyped = ['message', 'item_reference'].includes(String(properties['type']?.['const']))
    return withNullsForAbsent(isUntyped ? { ...schema, required: required.filter((name) => name !== 'type') } : schema)
  }
  return untyped(seen)
}

/** One item of a request, in OpenAI's many spellings. */
export const itemSchema = z.preprocess(withType, anyItemSchema).transform(toDraft).register(wireForms, { id: 'ResponseItem', form: itemForm })
