import type { ChatMessage, ToolDefinition } from './chat-message.ts'
import type { ChatTemplate } from './chat-template.ts'
import type { Dialect } from './dialects/dialect.ts'

export interface Conversation {
  readonly messages: readonly ChatMessage[]
  /** For the template. */
  readonly tools: readonly ToolDefinition[]
}

/**
 * Writes what a template cannot show of tools as text: the tools into the system message, earlier calls as their dialect
 * has them, results into the user's turn.
 */
export function adaptConversation (conversation: Conversation, template: ChatTemplate, dialect: Dialect): Conversation {
  const usesTools = conversation.tools.length > 0 ||
    conversation.messages.some(({ role, toolCalls }) => role === 'tool' || toolCalls !== undefined)
  if (!usesTools) return conversation
  const { showsTools, callArguments, showsResults, showsSystem } = template.capabilities
  let { messages, tools } = conversation
  if (callArguments === null) messages = messages.map((message) => withCallsAsText(message, dialect, template.source))
  if (!showsResults) messages = withResultsOfUsers(messages)
  if (tools.length > 0 && !showsTools) {
    messages = withText(messages, describeTools(tools, dialect, template.source), showsSystem)
    tools = []
  }
  return { messages, tools }
}

function withCallsAsText ({ toolCalls, ...message }: ChatMessage, dialect: Dialect, template: string): ChatMessage {
  if (toolCalls === undefined) return message
  const calls = toolCalls.map((call) => dialect.write(call.name, call.arguments, template))
  return { ...message, content: [...(message.content === '' ? [] : [message.content]), ...calls].join('\n') }
}

/** Results in a row, and what the user says after them, become one message: many templates insist on taking turns. */
function withResultsOfUsers (messages: readonly ChatMessage[]): ChatMessage[] {
  const adapted: ChatMessage[] = []
  let isAfterResult = false
  for (const message of messages) {
    const text = message.role === 'tool' ? `<tool_response>\n${message.content}\n</tool_response>` : message.content
    const last = adapted.at(-1)
    if (isAfterResult && last !== undefined && (message.role === 'tool' || message.role === 'user')) {
      adapted[adapted.length - 1] = { ...last, content: `${last.content}\n${text}` }
    } else {
      adapted.push(message.role === 'tool' ? { role: 'user', content: text } : message)
    }
    isAfterResult = message.role === 'tool'
  }
  return adapted
}

function describeTools (tools: readonly ToolDefinition[], dialect: Dialect, template: string): string {
  const definitions = tools.map(({ name, description, parameters }) => JSON.stringify({
    type: 'function',
    function: { name, description: description ?? '', parameters: parameters ?? { type: 'object', properties: {} } }
  }))
  return [
    'You may call these tools to help with the user\'s request:',
    '<tools>', ...definitions, '</tools>',
    ...((dialect.parameterForm?.(template) ?? null) === null
      ? ['To call one, answer with its name and its arguments as JSON, in exactly this form:', dialect.write('<name>', '<arguments>', template)]
      : ['To call one, answer with its name and its arguments, in exactly this form:', dialect.write('<name>', '{"<argument>": "<value>"}', template)]),
    'Results come back within <tool_response></tool_response>. When no tool is needed, answer in plain words.'
  ].join('\n')
}

/** Adds to the system message, or to the first message where the template has no system message. */
function withText (messages: readonly ChatMessage[], text: string, showsSystem: boolean): ChatMessage[] {
  const [first, ...others] = messages
  const isSystem = first?.role === 'system' || first?.role === 'developer'
  if (first !== undefined && (isSystem || !showsSystem)) {
    return [{ ...first, content: isSystem ? `${first.content}\n\n${text}` : `${text}\n\n${first.content}` }, ...others]
  }
  return [{ role: 'system', content: text }, ...messages]
}
