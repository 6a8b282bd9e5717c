import { createHash } from 'node:crypto'
import type { ChatMessage } from './chat-message.ts'

/** The id under which a template sees a call. */
export type CallIds = (id: string) => string

/**
 * Some templates do not take the ids of calls as they are: Mistral's insist on nine letters and digits; Kimi's show the id in place
 * of the tool's name, as `functions.name:0`.
 *
 * @param source of the template
 * @returns the ids for the calls of a conversation
 */
export function callIdsFor (source: string): (messages: readonly ChatMessage[]) => CallIds {
  if (source.includes('<|tool_call_argument_begin|>')) return namedIds
  return source.includes('length != 9') ? () => shortId : () => (id) => id
}

const shortId: CallIds = (id) => /^[a-zA-Z0-9]{9}$/.test(id) ? id : createHash('sha256').update(id).digest('hex').slice(0, 9)

function namedIds (messages: readonly ChatMessage[]): CallIds {
  const calls = messages.flatMap(({ toolCalls }) => toolCalls ?? [])
  const ids = new Map(calls.map(({ id, name }, index) => [id, `functions.${name}:${index}`]))
  return (id) => ids.get(id) ?? id
}
