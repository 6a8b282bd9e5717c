import type { ChatMessage, ToolCall } from '../../chat/chat-message.ts'
import { ServerError } from '../../domain/errors.ts'
import type { AnthropicMessage } from '../schemas/message-content.ts'
import type { MessagePrompt } from '../schemas/message-request.ts'

type Block = AnthropicMessage['content'][number]
type BlockOf<Type extends Block['type']> = Extract<Block, { type: Type }>

interface Turn {
  readonly role: AnthropicMessage['role']
  readonly blocks: { readonly block: Block, readonly path: string }[]
}

export interface MessageConversation {
  readonly messages: readonly ChatMessage[]
  /** Whether the answer goes on with the last message, which is the assistant's. */
  readonly continuesLastMessage: boolean
}

/**
 * The conversation as chat templates know it: results of tools are messages of their own, before what the user says
 * beside them; blocks of text are joined by line breaks; turns of the same role in a row are one.
 *
 * @throws ServerError `invalid_value` for a result without a call before it, and for calls at the end
 */
export function toConversation ({ system = [], messages }: Pick<MessagePrompt, 'system' | 'messages'>): MessageConversation {
  const calls = new Set<string>()
  const systemText = textOf(system)
  const conversation: ChatMessage[] = systemText === '' ? [] : [{ role: 'system', content: systemText }]
  for (const turn of toTurns(messages)) {
    if (turn.role === 'assistant') {
      const message = toAssistantMessage(turn)
      for (const { id } of message.toolCalls ?? []) calls.add(id)
      conversation.push(message)
      continue
    }
    const results = toResults(turn, calls)
    conversation.push(...results)
    const texts = blocksOf(turn, 'text')
    if (texts.length > 0 || results.length === 0) conversation.push({ role: turn.role, content: textOf(texts) })
  }
  const last = conversation.at(-1)
  if (last?.toolCalls !== undefined) {
    throw new ServerError('invalid_value', 'The last message calls tools; send their results after it', { param: `messages[${messages.length - 1}]` })
  }
  return { messages: conversation, continuesLastMessage: last?.role === 'assistant' }
}

function toTurns (messages: readonly AnthropicMessage[]): Turn[] {
  const turns: Turn[] = []
  for (const [index, { role, content }] of messages.entries()) {
    const blocks = content.map((block: Block, at) => ({ block, path: `messages[${index}].content[${at}]` }))
    const last = turns.at(-1)
    if (last?.role === role) last.blocks.push(...blocks)
    else turns.push({ role, blocks })
  }
  return turns
}

const blocksOf = <Type extends Block['type']>({ blocks }: Turn, type: Type): BlockOf<Type>[] =>
  blocks.map(({ block }) => block).filter((block): block is BlockOf<Type> => block.type === type)

const textOf = (blocks: readonly BlockOf<'text'>[]): string => blocks.map(({ text }) => text).join('\n')

/** Thinking that Anthropic has made unreadable is left out. */
function toAssistantMessage (turn: Turn): ChatMessage {
  const toolCalls = blocksOf(turn, 'tool_use').map(({ id, name, input }): ToolCall =>
    ({ id, name, arguments: typeof input === 'string' ? input : JSON.stringify(input) }))
  const reasoning = blocksOf(turn, 'thinking').map(({ thinking }) => thinking).filter((text) => text !== '').join('\n')
  return {
    role: 'assistant',
    content: textOf(blocksOf(turn, 'text')),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...(reasoning === '' ? {} : { reasoning })
  }
}

function toResults ({ blocks }: Turn, calls: ReadonlySet<string>): ChatMessage[] {
  return blocks.flatMap(({ block, path }): ChatMessage[] => {
    if (block.type !== 'tool_result') return []
    if (!calls.has(block.tool_use_id)) {
      throw new ServerError('invalid_value', `Invalid value for '${path}.tool_use_id': no assistant message before it has a tool_use block with this id`, { param: `${path}.tool_use_id` })
    }
    const text = textOf(block.content)
    return [{ role: 'tool', content: block.is_error === true ? asError(text) : text, toolCallId: block.tool_use_id }]
  })
}

/** Templates have no other way to say that a tool failed. */
const asError = (text: string): string => /^\W*error\b/i.test(text) ? text : `Error: ${text}`
