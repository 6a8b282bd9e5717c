import { z } from 'zod'
import { ServerError } from '../../domain/errors.ts'
import { callIdSchema, jsonObjectSchema } from './tools.ts'
import { orText, wireForms } from './wire-form.ts'

/** Where a prompt may be cached: anywhere, here. */
export const cacheControlSchema = z.looseObject({ type: z.literal('ephemeral') }).nullish()

/** Over all messages: the schema notes each block that is wrong, so without a bound one request could fill the memory. */
const maxBlocks = 16_384

const textBlockSchema = z.strictObject({
  type: z.literal('text'),
  text: z.string(),
  cache_control: cacheControlSchema,
  citations: z.array(z.never()).max(0).nullish()
})

/** Of a tool that the model called itself, none of a group that only Anthropic has. */
const directMembers = {
  cache_control: cacheControlSchema,
  caller: z.looseObject({ type: z.literal('direct') }).nullish(),
  toolset_name: z.null().optional()
}

const toolUseBlockSchema = z.strictObject({
  type: z.literal('tool_use'),
  id: callIdSchema,
  name: z.string().min(1).max(256),
  // A text is what this server answers with where a model wrote no JSON object.
  input: z.union([jsonObjectSchema, z.string()], 'expected an object'),
  ...directMembers
})

const thinkingBlockSchema = z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().nullish() })
const redactedThinkingBlockSchema = z.strictObject({ type: z.literal('redacted_thinking'), data: z.string() })

/** A string, or a list of blocks. */
const contentOf = <Block extends z.ZodType>(block: Block) => z.preprocess(
  (content) => typeof content === 'string' ? [{ type: 'text', text: content }] : content,
  z.array(block, { error: ({ input }) => Array.isArray(input) ? undefined : 'expected a string or a list of content blocks' })
).register(wireForms, { form: orText() })

/** Blocks of text alone. */
export const textBlocksSchema = contentOf(textBlockSchema)

const toolResultBlockSchema = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: callIdSchema,
  content: textBlocksSchema.default([]),
  is_error: z.boolean().nullish(),
  cache_control: cacheControlSchema,
  toolset_name: z.null().optional()
})

/** A turn, in Anthropic's form. */
export const messageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('user'), content: contentOf(z.discriminatedUnion('type', [textBlockSchema, toolResultBlockSchema])) }),
  z.strictObject({
    role: z.literal('assistant'),
    content: contentOf(z.discriminatedUnion('type', [textBlockSchema, thinkingBlockSchema, redactedThinkingBlockSchema, toolUseBlockSchema]))
  }),
  z.strictObject({ role: z.literal('system'), content: textBlocksSchema })
]).register(wireForms, { id: 'MessageTurn' })

export type AnthropicMessage = z.output<typeof messageSchema>

const serverTools = 'Tools that run on Anthropic\'s servers are not supported by this server'
const advice: Record<string, string> = {
  image: 'Images are not supported by this server; send text only',
  document: 'Documents are not supported by this server; send their text',
  search_result: 'Search results are not supported by this server; send their text',
  tool_reference: 'References to tools are not supported by this server; send their definitions in "tools"',
  browser_state: serverTools,
  container_upload: serverTools,
  server_tool_use: serverTools,
  mcp_tool_use: serverTools,
  mcp_tool_result: serverTools,
  web_search_tool_result: serverTools,
  web_fetch_tool_result: serverTools,
  code_execution_tool_result: serverTools,
  bash_code_execution_tool_result: serverTools,
  text_editor_code_execution_tool_result: serverTools,
  tool_search_tool_result: serverTools,
  compaction: 'Conversations are not compacted by this server'
}

const membersOf = (value: unknown): Record<string, unknown> => typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}

/**
 * Names the blocks that Anthropic knows and this server does not support, before the schema would only say that they are
 * unknown.
 * @throws ServerError `unsupported_value`, or `invalid_value` when there are too many blocks
 */
export function refuseUnsupportedBlocks (messages: unknown, system: unknown): void {
  let count = 0
  const refuse = (content: unknown, path: string): void => {
    if (!Array.isArray(content)) return
    count += content.length
    if (count > maxBlocks) {
      throw new ServerError('invalid_value', `The messages have more than ${maxBlocks} content blocks; that is the limit`, { param: 'messages' })
    }
    for (const [index, block] of content.entries()) {
      const param = `${path}[${index}]`
      const { type, content: inner } = membersOf(block)
      if (typeof type === 'string' && Object.hasOwn(advice, type)) {
        throw new ServerError('unsupported_value', `${param} has the type "${type}". ${advice[type]}.`, { param })
      }
      if (type === 'tool_result') refuse(inner, `${param}.content`)
    }
  }
  refuse(system, 'system')
  if (!Array.isArray(messages)) return
  for (const [index, message] of messages.entries()) refuse(membersOf(message)['content'], `messages[${index}].content`)
}
