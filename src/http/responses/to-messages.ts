import type { ChatMessage, ToolCall } from '../../chat/chat-message.ts'
import { readPortableReasoning } from './portable-reasoning.ts'
import type { InputText, ReasoningItem, ResponseItem } from './response-item.ts'

/** An assistant's turn, which several items make up: reasoning, then text, then calls. */
interface Turn {
  reasoning: string
  content: string | null
  readonly toolCalls: ToolCall[]
}

/**
 * A conversation's items as the messages that templates know.
 * @param instructions go before all others; they join a system message that the items begin with, since many templates have room for one only
 */
export function toMessages (items: readonly ResponseItem[], instructions: string): ChatMessage[] {
  const messages: ChatMessage[] = []
  let turn: Turn | null = null

  const endTurn = (): void => {
    if (turn === null) return
    const { reasoning, content, toolCalls } = turn
    messages.push({
      role: 'assistant',
      content: content ?? '',
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
      ...(reasoning === '' ? {} : { reasoning })
    })
    turn = null
  }
  /** The turn that an item belongs to: the one under way, unless the item can only begin another one. */
  const turnFor = (beginsAnother: (turn: Turn) => boolean): Turn => {
    if (turn !== null && beginsAnother(turn)) endTurn()
    turn ??= { reasoning: '', content: null, toolCalls: [] }
    return turn
  }

  for (const item of items) {
    switch (item.type) {
      case 'reasoning':
        turnFor(({ content, toolCalls }) => content !== null || toolCalls.length > 0).reasoning += textOfReasoning(item)
        break
      case 'function_call':
        turnFor(() => false).toolCalls.push({ id: item.call_id, name: item.name, arguments: item.arguments })
        break
      case 'function_call_output':
        endTurn()
        messages.push({ role: 'tool', content: typeof item.output === 'string' ? item.output : textOf(item.output), toolCallId: item.call_id })
        break
      case 'message':
        if (item.role === 'assistant') {
          turnFor(({ content, toolCalls }) => content !== null || toolCalls.length > 0).content =
            item.content.map((part) => part.type === 'refusal' ? part.refusal : part.text).join('\n')
        } else {
          endTurn()
          messages.push({ role: item.role, content: textOf(item.content) })
        }
    }
  }
  endTurn()
  return withInstructions(messages, instructions)
}

const textOf = (parts: readonly InputText[]): string => parts.map(({ text }) => text).join('\n')

/** What a reasoning item says, wherever it says it. */
function textOfReasoning ({ content, summary, encrypted_content: encrypted }: ReasoningItem): string {
  if (content.length > 0) return content.map(({ text }) => text).join('\n')
  const portable = encrypted === null ? null : readPortableReasoning(encrypted)
  return portable ?? summary.map(({ text }) => text).join('\n')
}

function withInstructions (messages: ChatMessage[], instructions: string): ChatMessage[] {
  if (instructions === '') return messages
  const [first, ...others] = messages
  if (first === undefined || (first.role !== 'system' && first.role !== 'developer')) {
    return [{ role: 'system', content: instructions }, ...messages]
  }
  return [{ ...first, content: `${instructions}\n\n${first.content}` }, ...others]
}
