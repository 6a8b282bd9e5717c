import { z } from 'zod'
import { wireForms } from '../wire-form.ts'
import { tokenLogprobSchema } from './chat-completion.ts'
import { outputItemSchema, outputTextSchema, reasoningTextSchema, summaryTextSchema } from './response-item.ts'
import { responseSchema } from './response.ts'

const numbered = { sequence_number: z.int().min(0) }
const ofItem = { ...numbered, item_id: z.string(), output_index: z.int() }
const ofPart = { ...ofItem, content_index: z.int() }
const ofSummary = { ...ofItem, summary_index: z.int() }
const logprobs = z.array(tokenLogprobSchema)
const partSchema = z.discriminatedUnion('type', [outputTextSchema, reasoningTextSchema])

/** An event of a response's stream. */
export const responseEventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...numbered,
    type: z.enum(['response.created', 'response.queued', 'response.in_progress', 'response.completed', 'response.incomplete', 'response.failed']),
    response: responseSchema
  }),
  z.strictObject({ ...numbered, type: z.enum(['response.output_item.added', 'response.output_item.done']), output_index: z.int(), item: outputItemSchema }),
  z.strictObject({ ...ofPart, type: z.enum(['response.content_part.added', 'response.content_part.done']), part: partSchema }),
  z.strictObject({ ...ofPart, type: z.literal('response.output_text.delta'), delta: z.string(), logprobs }),
  z.strictObject({ ...ofPart, type: z.literal('response.output_text.done'), text: z.string(), logprobs }),
  z.strictObject({ ...ofPart, type: z.literal('response.reasoning_text.delta'), delta: z.string() }),
  z.strictObject({ ...ofPart, type: z.literal('response.reasoning_text.done'), text: z.string() }),
  z.strictObject({ ...ofSummary, type: z.enum(['response.reasoning_summary_part.added', 'response.reasoning_summary_part.done']), part: summaryTextSchema }),
  z.strictObject({ ...ofSummary, type: z.literal('response.reasoning_summary_text.delta'), delta: z.string() }),
  z.strictObject({ ...ofSummary, type: z.literal('response.reasoning_summary_text.done'), text: z.string() }),
  z.strictObject({ ...ofItem, type: z.literal('response.function_call_arguments.delta'), delta: z.string() }),
  z.strictObject({ ...ofItem, type: z.literal('response.function_call_arguments.done'), name: z.string(), arguments: z.string() }),
  z.strictObject({
    ...numbered,
    type: z.literal('error'),
    code: z.string(),
    message: z.string(),
    param: z.string().nullable(),
    error: z.strictObject({ type: z.string(), code: z.string(), message: z.string(), param: z.string().nullable() })
  })
]).register(wireForms, { id: 'ResponseEvent' })
