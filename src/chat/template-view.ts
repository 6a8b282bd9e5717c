import { argumentObject } from './argument-object.ts'
import type { CallIds } from './call-ids.ts'
import type { ChatMessage, ToolCall, ToolDefinition } from './chat-message.ts'

/** Passes a user's text on, so that it can be found again in what a template makes of it. */
export type Mark = (text: string) => string

/** How a template wants to see messages. */
export interface ViewOptions {
  /** Content as a list of parts. */
  readonly wantsParts: boolean
  readonly knowsDeveloper: boolean
  /** Arguments of calls as a value that the template writes as JSON, or as the text itself. */
  readonly argumentsAs: 'object' | 'string'
  readonly callIds: CallIds
}

/**
 * Plain words are the same with and without marks around them, and templates compare them (`type == 'string'`), so they
 * are not marked.
 * @param controlTexts a word that holds one of them is not plain
 */
export function markUnlessPlain (mark: Mark, controlTexts: readonly string[]): Mark {
  return (text) => /^[\w$.-]{1,128}$/.test(text) && !controlTexts.some((control) => text.includes(control)) ? text : mark(text)
}

/** A JSON value with all its strings marked, names of members as well. */
export function markDeep (value: unknown, mark: Mark): unknown {
  if (typeof value === 'string') return mark(value)
  if (Array.isArray(value)) return value.map((item) => markDeep(item, mark))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [mark(key), markDeep(member, mark)]))
}

/** A message in the form of OpenAI's API, which templates are written for. */
export function viewMessage (message: ChatMessage, options: ViewOptions, mark: Mark, markWord: Mark): object {
  const { role, content, name, toolCalls, toolCallId, reasoning } = message
  return {
    role: role === 'developer' && !options.knowsDeveloper ? 'system' : role,
    content: options.wantsParts ? [{ type: 'text', text: mark(content) }] : mark(content),
    ...(name === undefined ? {} : { name: mark(name) }),
    ...(toolCalls === undefined ? {} : { tool_calls: toolCalls.map((call) => viewCall(call, options, mark, markWord)) }),
    ...(toolCallId === undefined ? {} : { tool_call_id: markWord(options.callIds(toolCallId)) }),
    // gpt-oss calls it by another name, and refuses it beside the content of a message with calls.
    ...(reasoning === undefined ? {} : { reasoning_content: mark(reasoning), ...(toolCalls !== undefined && content !== '' ? {} : { thinking: mark(reasoning) }) })
  }
}

function viewCall ({ id, name, arguments: text }: ToolCall, options: ViewOptions, mark: Mark, markWord: Mark): object {
  // Where there is none a template gets the text, which is better than to lose it.
  const value = options.argumentsAs === 'object' ? argumentObject(text) : null
  return {
    id: markWord(options.callIds(id)),
    type: 'function',
    function: { name: markWord(name), arguments: value === null ? mark(text) : markDeep(value, markWord) }
  }
}

/** A tool in the form of OpenAI's API. */
export function viewTool ({ name, description, parameters }: ToolDefinition, markWord: Mark): object {
  return {
    type: 'function',
    function: {
      name: markWord(name),
      // Many templates join it to other text without looking.
      description: markWord(description ?? ''),
      parameters: markDeep(parameters ?? { type: 'object', properties: {} }, markWord)
    }
  }
}
