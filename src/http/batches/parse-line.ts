import { ServerError } from '../../domain/errors.ts'
import { hasMoreJsonThan } from '../plugins/has-more-json-than.ts'
import { jsonLimits } from '../plugins/json-body.ts'

/**
 * A line of a batch's input.
 * @throws ServerError `invalid_json`, `invalid_value`
 */
export function parseLine (text: string): unknown {
  if (hasMoreJsonThan(Buffer.from(text), jsonLimits)) {
    throw new ServerError('invalid_value', `This line has more than ${jsonLimits.parts} members, objects and lists, or more than ${jsonLimits.commas} items; these are the limits`)
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new ServerError('invalid_json', 'This line is not parseable as valid JSON')
  }
}
