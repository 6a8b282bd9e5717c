import type { ChatMessage, ToolDefinition } from '../chat-message.ts'

/** What a member or an item takes beside its text, in characters. */
const charactersOfPart = 32
/** What a message takes beside its text: templates look at each several times. */
const charactersOfMessage = 256

/**
 * How large a JSON value is, in characters; its members and items count as well. Beyond `most` it does not go on counting.
 * Iterative: JSON can nest deeper than the stack.
 */
export function sizeOfJson (value: unknown, most: number): number {
  let size = 0
  const pending: unknown[] = [value]
  while (pending.length > 0 && size <= most) {
    const part = pending.pop()
    size += charactersOfPart
    if (typeof part === 'string') {
      size += part.length
    } else if (Array.isArray(part)) {
      size += part.length * charactersOfPart
      if (size <= most) for (const item of part) pending.push(item)
    } else if (typeof part === 'object' && part !== null) {
      for (const name in part) {
        size += name.length
        if (size > most) break
        pending.push((part as Record<string, unknown>)[name])
      }
    }
  }
  return size
}

/** How large a conversation with its tools is, counted as {@link sizeOfJson} does. */
export function sizeOfConversation (messages: readonly ChatMessage[], tools: readonly ToolDefinition[], most: number): number {
  let size = 0
  for (const { content, reasoning = '', toolCalls = [] } of messages) {
    size += charactersOfMessage + content.length + reasoning.length
    for (const call of toolCalls) size += charactersOfMessage + call.name.length + call.arguments.length
  }
  for (const { description = '', parameters } of tools) {
    if (size > most) return size
    size += charactersOfMessage + description.length + sizeOfJson(parameters, most - size)
  }
  return size
}
