import { ServerError } from '../domain/errors.ts'
import type { PromptSegment } from '../inference/inference.ts'
import type { ChatMessage } from './chat-message.ts'

/** A conversation whose last message has no end yet, so that the model goes on with it. */
export interface ContinuedConversation {
  /** For the template: the last message ends with a word that nothing else has. */
  readonly messages: readonly ChatMessage[]
  /**
   * Ends the prompt where the last message ends.
   * @throws ServerError `unsupported_value` when the template does not show the message to its end, once
   */
  cut (segments: readonly PromptSegment[]): readonly PromptSegment[]
}

/**
 * Templates end every message themselves, and know no other way. So the last one is rendered like those before it, with a
 * word at its end by which that end is found again in whatever the template made of it: channels, empty reasoning and
 * trimmed white space are then as the model knows them, which a text put behind the prompt of a new turn would not have.
 *
 * @param others texts that the template may show beside the messages, its own among them
 * @throws ServerError `invalid_value` when the last message is none that can go on
 */
export function continueLastMessage (messages: readonly ChatMessage[], others: readonly string[]): ContinuedConversation {
  const last = messages.at(-1)
  if (last?.role !== 'assistant' || last.toolCalls !== undefined) {
    throw new ServerError('invalid_value', 'The last message can only be continued when it is the assistant\'s and has no tool calls', { param: 'messages' })
  }
  const word = absentWord([...others, JSON.stringify(messages)])
  return {
    messages: [...messages.slice(0, -1), { ...last, content: last.content + word }],

    cut (segments) {
      const text = segments.map((segment) => segment.text).join('')
      const end = text.indexOf(word)
      if (end === -1 || text.includes(word, end + 1)) {
        throw new ServerError('unsupported_value', 'This model\'s chat template does not show the last message as it is, so it cannot be continued', { param: 'messages' })
      }
      return firstOf(segments, end)
    }
  }
}

/** Plain letters: nothing that a template trims, and no part of a control text. Found at once, however many are taken. */
function absentWord (texts: readonly string[]): string {
  let longest = -1
  for (const text of texts) {
    for (const [, letters = ''] of text.matchAll(/goesonhere(x*)/g)) longest = Math.max(longest, letters.length)
  }
  return `goesonhere${'x'.repeat(longest + 1)}`
}

function firstOf (segments: readonly PromptSegment[], length: number): PromptSegment[] {
  const kept: PromptSegment[] = []
  let room = length
  for (const { text, origin } of segments) {
    if (room <= 0) break
    kept.push({ text: text.slice(0, room), origin })
    room -= text.length
  }
  return kept
}
