import type { ChatMessage } from '../chat/chat-message.ts'

/** Begins a conversation with an adapter's system prompt, unless the client has sent a system message of its own. */
export function withSystemPrompt (messages: readonly ChatMessage[], systemPrompt: string | null): readonly ChatMessage[] {
  if (systemPrompt === null || messages.some(({ role }) => role === 'system' || role === 'developer')) return messages
  return [{ role: 'system', content: systemPrompt }, ...messages]
}
