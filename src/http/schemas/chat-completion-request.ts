import { z } from 'zod'
import type { ChatMessage } from '../../chat/chat-message.ts'
import { ServerError } from '../../domain/errors.ts'
import { loraMembers } from './lora.ts'
import { reasoningMembers } from './reasoning.ts'
import { samplingMembers } from './sampling-options.ts'
import { serviceClassMembers } from './service-class.ts'
import { callIdSchema, toolCallsSchema, toolMembers } from './tools.ts'
import { orText, wireForms, withNullsForAbsent } from './wire-form.ts'

const textPartSchema = z.strictObject({
  type: z.literal('text'),
  text: z.string(),
  // Without effect: the prefix cache is always on.
  prompt_cache_breakpoint: z.strictObject({ mode: z.literal('explicit') }).nullish()
})
const refusalPartSchema = z.strictObject({ type: z.literal('refusal'), refusal: z.string() })
const textPartsSchema = z.discriminatedUnion('type', [textPartSchema])
const anyPartSchema = z.discriminatedUnion('type', [textPartSchema, refusalPartSchema])

/** A string, or a list of text parts that become one string with line breaks between them. */
const contentOf = <Part extends z.ZodType<{ type: 'text', text: string } | { type: 'refusal', refusal: string }>>(part: Part) =>
  z.preprocess(
    (content) => typeof content === 'string' ? [{ type: 'text', text: content }] : content,
    z.array(part, { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string or a list of parts' })
  ).transform((parts) => parts.map((item) => item.type === 'text' ? item.text : item.refusal).join('\n')).register(wireForms, { form: orText() })

const nameSchema = z.string().min(1).max(256).optional()

/** Clients send answers back with all the members that their own types know, null where there was nothing. */
function withoutNulls (message: unknown): unknown {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return message
  const isWrongAnyway = Object.keys(message).length > maxMembersOfMessage
  return isWrongAnyway ? message : Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null))
}

const maxMembersOfMessage = 64

const messageSchema = z.preprocess(withoutNulls, z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: contentOf(textPartsSchema), name: nameSchema }),
  z.strictObject({ role: z.literal('developer'), content: contentOf(textPartsSchema), name: nameSchema }),
  z.strictObject({ role: z.literal('user'), content: contentOf(textPartsSchema), name: nameSchema }),
  z.strictObject({
    role: z.literal('assistant'),
    content: contentOf(anyPartSchema).optional(),
    name: nameSchema,
    // What clients send back of answers. What is not the answer's text has no effect: citations of other servers' searches,
    // and what OpenAI's client made of the text.
    refusal: z.string().optional(),
    annotations: z.array(z.unknown()).optional(),
    parsed: z.unknown().optional(),
    tool_calls: toolCallsSchema.optional(),
    // Two names of the same thing; this server writes both.
    reasoning_content: z.string().optional(),
    reasoning: z.string().optional()
  }),
  z.strictObject({ role: z.literal('tool'), content: contentOf(textPartsSchema), tool_call_id: callIdSchema, name: nameSchema })
])).transform((message): ChatMessage => {
  const { role, content = '', name } = message
  const reasoning = role === 'assistant' ? message.reasoning_content ?? message.reasoning : undefined
  const toolCalls = role === 'assistant' ? message.tool_calls ?? [] : []
  return {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...(role === 'tool' ? { toolCallId: message.tool_call_id } : {}),
    ...(reasoning === undefined || reasoning === '' ? {} : { reasoning })
  }
}).register(wireForms, { id: 'ChatMessage', form: withNullsForAbsent })

const maxMessages = 4096
/** Over all messages. The schema notes each part that is wrong, so without a bound one request could fill the memory. */
export const maxParts = 16_384

export const chatCompletionRequestSchema = z.strictObject({
  ...samplingMembers,
  ...serviceClassMembers,
  ...toolMembers,
  ...reasoningMembers,
  ...loraMembers,
  model: z.string().min(1).max(1024),
  messages: z.array(messageSchema).min(1).max(maxMessages),
  max_tokens: z.int().min(1).optional(),
  max_completion_tokens: z.int().min(1).optional(),
  prediction: z.strictObject({ type: z.literal('content'), content: contentOf(textPartsSchema) }).optional(),
  logprobs: z.boolean().default(false),
  top_logprobs: z.int().min(0).max(20).optional(),
  /** vLLM's: the answer goes on with the last message, which is the assistant's. */
  continue_final_message: z.boolean().default(false),
  /** The opposite of the former, which vLLM's clients have to send with it. */
  add_generation_prompt: z.boolean().optional()
})

export type ChatCompletionRequest = z.output<typeof chatCompletionRequestSchema>

/** The part of a chat request that the tokenize endpoint also takes. */
export const messagesSchema = chatCompletionRequestSchema.shape.messages

const partAdvice: Record<string, string> = {
  image_url: 'Images are not supported by this server; send text only',
  input_image: 'Images are not supported by this server; send text only',
  input_audio: 'Audio is not supported by this server; send text only',
  audio_url: 'Audio is not supported by this server; send text only',
  video_url: 'Videos are not supported by this server; send text only',
  file: 'Files are not supported by this server; send their text'
}

/**
 * Names the parts of messages that OpenAI knows and this server does not support, before the schema would only say that
 * they are unknown.
 * @throws ServerError `unsupported_value`, or `invalid_value` when there are too many parts
 */
export function refuseUnsupportedMessages (messages: unknown): void {
  if (!Array.isArray(messages)) return
  let partCount = 0
  for (const [index, message] of messages.entries() as IterableIterator<[number, unknown]>) {
    if (typeof message !== 'object' || message === null) continue
    const path = `messages[${index}]`
    const { role, content, function_call: functionCall } = message as Record<string, unknown>
    if (role === 'function') {
      throw new ServerError('unsupported_value', 'Messages with the role "function" are not supported; use the role "tool".', { param: `${path}.role` })
    }
    if (functionCall !== undefined && functionCall !== null) {
      throw new ServerError('unsupported_value', '"function_call" is not supported; use "tool_calls".', { param: `${path}.function_call` })
    }
    if (!Array.isArray(content)) continue
    partCount += content.length
    if (partCount > maxParts) {
      throw new ServerError('invalid_value', `The messages have more than ${maxParts} parts of content; that is the limit`, { param: 'messages' })
    }
    for (const [partIndex, part] of content.entries() as IterableIterator<[number, unknown]>) {
      const type = typeof part === 'object' && part !== null ? (part as Record<string, unknown>)['type'] : undefined
      if (typeof type === 'string' && Object.hasOwn(partAdvice, type)) {
        const param = `${path}.content[${partIndex}]`
        throw new ServerError('unsupported_value', `${param} has the type "${type}". ${partAdvice[type]}.`, { param })
      }
    }
  }
}
