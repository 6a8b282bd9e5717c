import type { SamplingRequest } from './sampling-options.ts'
import { ServerError } from '../../domain/errors.ts'

/**
 * The rules between members of a request.
 * @throws ServerError `invalid_value`
 */
export function checkSamplingRequest (request: SamplingRequest, maxTokens: number | null): void {
  if (request.stream_options !== undefined && !request.stream) {
    throw new ServerError('invalid_value', 'The parameter \'stream_options\' is only allowed when \'stream\' is true', { param: 'stream_options' })
  }
  const { repeat_penalty: repeat, repetition_penalty: repetition } = request
  if (repeat !== undefined && repetition !== undefined && repeat !== repetition) {
    throw new ServerError('invalid_value', `'repeat_penalty' (${repeat}) and 'repetition_penalty' (${repetition}) mean the same; send one of them`, { param: 'repetition_penalty' })
  }
  if (maxTokens !== null && request.min_tokens > maxTokens) {
    throw new ServerError('invalid_value', `Invalid value for 'min_tokens': ${request.min_tokens} is more than the most tokens of the answer, ${maxTokens}`, { param: 'min_tokens' })
  }
}
