import { z } from 'zod'
import { wireForms } from '../wire-form.ts'
import { tokenLogprobSchema } from './chat-completion.ts'

const base = { id: z.string(), status: z.enum(['in_progress', 'completed', 'incomplete']) }

export const outputTextSchema = z.strictObject({
  type: z.literal('output_text'), text: z.string(), annotations: z.array(z.never()).max(0), logprobs: z.array(tokenLogprobSchema)
}).register(wireForms, { id: 'OutputText' })

export const reasoningTextSchema = z.strictObject({ type: z.literal('reasoning_text'), text: z.string() })
export const summaryTextSchema = z.strictObject({ type: z.literal('summary_text'), text: z.string() })

const outputMessageSchema = z.strictObject({
  ...base,
  type: z.literal('message'),
  role: z.literal('assistant'),
  content: z.array(z.discriminatedUnion('type', [outputTextSchema, z.strictObject({ type: z.literal('refusal'), refusal: z.string() })]))
}).register(wireForms, { id: 'OutputMessage' })

const functionCallSchema = z.strictObject({
  ...base, type: z.literal('function_call'), call_id: z.string(), name: z.string(), arguments: z.string()
}).register(wireForms, { id: 'FunctionCall' })

const reasoningSchema = z.strictObject({
  ...base,
  type: z.literal('reasoning'),
  summary: z.array(summaryTextSchema),
  content: z.array(reasoningTextSchema),
  encrypted_content: z.string().nullable()
}).register(wireForms, { id: 'Reasoning' })

/** What a response gives. */
export const outputItemSchema = z.discriminatedUnion('type', [outputMessageSchema, functionCallSchema, reasoningSchema])
  .register(wireForms, { id: 'OutputItem' })

const inputTextSchema = z.strictObject({ type: z.literal('input_text'), text: z.string() })

/** What is kept of conversations: what responses give, and what they were given. */
export const storedItemSchema = z.union([
  outputItemSchema,
  z.strictObject({ ...base, type: z.literal('message'), role: z.enum(['user', 'system', 'developer']), content: z.array(inputTextSchema) }),
  z.strictObject({ ...base, type: z.literal('function_call_output'), call_id: z.string(), output: z.union([z.string(), z.array(inputTextSchema)]) })
]).register(wireForms, { id: 'StoredItem' })

export const itemListSchema = z.strictObject({
  object: z.literal('list'),
  data: z.array(storedItemSchema),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.boolean()
}).register(wireForms, { id: 'ItemList' })
