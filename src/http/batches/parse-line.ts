import { ServerError } from '../../domain/errors.ts'
import { hasMoreJsonThan } from '../plugins/has-more-json-than.ts'
import { maxJsonParts } from '../plugins/json-body.ts'

/**
 * A line of a batch's input.
 * @throws ServerError `invalid_json`, `invalid_value`
 */
export function parseLine (text: string): unknown {
  if (hasMoreJsonThan(Buffer.from(text), maxJsonParts)) {
    throw new ServerError('invalid_value', `This line has more than ${maxJsonParts} members, objects and lists; that is the limit`)
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new ServerError('invalid_json', 'This line is not parseable as valid JSON')
  }
}
