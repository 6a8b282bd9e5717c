import { z } from 'zod'
import { errorCatalogue, type ErrorCode } from '../../../domain/errors.ts'
import { wireForms } from '../wire-form.ts'

const codes = Object.keys(errorCatalogue) as ErrorCode[]
const types = [...new Set(codes.map((code) => errorCatalogue[code].type))]

/** An error on every route but those of Anthropic's API. */
export const errorSchema = z.strictObject({
  error: z.strictObject({ message: z.string(), type: z.enum(types), param: z.string().nullable(), code: z.enum(codes) })
}).register(wireForms, { id: 'Error' })

/** An error in Anthropic's shape: on the routes of its API, and on others for requests with the header `anthropic-version`. */
export const anthropicErrorSchema = z.strictObject({
  type: z.literal('error'),
  error: z.strictObject({
    type: z.enum([
      'invalid_request_error', 'authentication_error', 'permission_error', 'not_found_error', 'request_too_large', 'rate_limit_error', 'api_error', 'timeout_error',
      'overloaded_error'
    ]),
    message: z.string(),
    details: z.strictObject({ error_code: z.literal('thread_unsupported_request'), unsupported: z.array(z.never()).max(0) }).optional()
  }),
  request_id: z.string()
}).register(wireForms, { id: 'AnthropicError' })

/** An error of the two routes that speak as vLLM: nested and flat, with vLLM's own types and codes where it has some. */
const vllmErrorMembers = { message: z.string(), type: z.string(), param: z.string().nullable(), code: z.union([z.string(), z.int()]) }

export const vllmErrorSchema = z.strictObject({ error: z.strictObject(vllmErrorMembers), object: z.literal('error'), ...vllmErrorMembers })
  .register(wireForms, { id: 'VllmError' })
