import { ServerError } from '../../domain/errors.ts'

/** Far above what conversations have; a schema notes every item that is wrong. */
export const maxItems = 8192

/** Over all items. The schema notes each part that is wrong, so without a bound one request could fill the memory. */
const maxParts = 16_384

const partAdvice: Record<string, string> = {
  input_image: 'Images are not supported by this server; send text only',
  image_url: 'Images are not supported by this server; send text only',
  input_audio: 'Audio is not supported by this server; send text only',
  input_file: 'Files are not supported by this server; send their text',
  computer_screenshot: 'Images are not supported by this server; send text only'
}

const knownItems = new Set(['message', 'function_call', 'function_call_output', 'reasoning', 'item_reference'])

/**
 * Names the items, and the parts of them, that OpenAI knows and this server does not support, before the schema would only
 * say that they are unknown.
 * @param name of the parameter that holds the items
 * @throws ServerError `unsupported_value`, or `invalid_value` when there are too many parts
 */
export function refuseUnsupportedItems (items: unknown, name: string): void {
  // Of more, the schema says how many there may be.
  if (!Array.isArray(items) || items.length > maxItems) return
  let partCount = 0
  for (const [index, item] of items.entries() as IterableIterator<[number, unknown]>) {
    if (typeof item !== 'object' || item === null) continue
    const path = `${name}[${index}]`
    const { type, content, output, summary } = item as Record<string, unknown>
    if (typeof type === 'string' && !knownItems.has(type)) {
      throw new ServerError('unsupported_value', `${path} has the type ${JSON.stringify(type).slice(0, 64)}. Supported are messages, function calls, their outputs, reasoning and references to stored items.`, { param: path })
    }
    for (const [member, parts] of [['content', content], ['output', output], ['summary', summary]] as const) {
      if (!Array.isArray(parts)) continue
      partCount += parts.length
      if (partCount > maxParts) {
        throw new ServerError('invalid_value', `The items have more than ${maxParts} parts of content; that is the limit`, { param: name })
      }
      refuseUnsupportedParts(parts, `${path}.${member}`)
    }
  }
}

function refuseUnsupportedParts (parts: readonly unknown[], path: string): void {
  for (const [index, part] of parts.entries()) {
    const type = typeof part === 'object' && part !== null ? (part as Record<string, unknown>)['type'] : undefined
    if (typeof type !== 'string' || !Object.hasOwn(partAdvice, type)) continue
    const param = `${path}[${index}]`
    throw new ServerError('unsupported_value', `${param} has the type "${type}". ${partAdvice[type]}.`, { param })
  }
}
