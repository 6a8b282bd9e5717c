import { ServerError } from '../../domain/errors.ts'
import type { ResponseItem } from './response-item.ts'

/**
 * References, earlier responses and conversations let a small request name much text, over and over. All that it comes to may be as long as
 * a request that sends it whole, or one request could keep the server busy for minutes before the model's context is looked at.
 *
 * @param most characters; those that join parts and items count
 * @param param that the items came through
 * @throws ServerError `context_length_exceeded`
 */
export function checkLength (items: readonly ResponseItem[], most: number, param: string): void {
  let length = 0
  for (const item of items) {
    for (const text of textsOf(item)) {
      length += text.length + 1
      if (length > most) {
        throw new ServerError('context_length_exceeded', `The items, with all that they refer to and go on from, have more than ${most} characters; that is the limit. Shorten the conversation.`, { param })
      }
    }
  }
}

function * textsOf (item: ResponseItem): Generator<string> {
  switch (item.type) {
    case 'message':
      for (const part of item.content) yield part.type === 'refusal' ? part.refusal : part.text
      // One without any content is a turn all the same.
      yield item.role
      break
    case 'function_call':
      yield item.name
      yield item.arguments
      break
    case 'function_call_output':
      if (typeof item.output === 'string') yield item.output
      else for (const { text } of item.output) yield text
      yield item.call_id
      break
    case 'reasoning':
      for (const { text } of item.content) yield text
      for (const { text } of item.summary) yield text
      yield item.encrypted_content ?? ''
  }
}
