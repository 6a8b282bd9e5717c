import { ServerError } from '../../domain/errors.ts'

/** Names of the chat endpoint's parameters, and what the Responses API calls them. */
const renamings: readonly (readonly [RegExp, string])[] = [
  [/\bresponse_format\.json_schema\b/g, 'text.format'],
  [/\bresponse_format\b/g, 'text.format'],
  [/\b(tools\[\d+\])\.function\b/g, '$1'],
  [/\breasoning_effort\b/g, 'reasoning.effort'],
  [/\bmax_(?:completion_)?tokens\b/g, 'max_output_tokens']
]

const rename = (text: string): string => renamings.reduce((renamed, [pattern, name]) => renamed.replace(pattern, name), text)

/**
 * An error of a chat request in the terms of the Responses API, which it came through: `param`, and the message as far as
 * it quotes it. Whatever else was thrown is left as it is.
 */
export function toResponsesError (error: ServerError): ServerError
export function toResponsesError (error: unknown): unknown
export function toResponsesError (error: unknown): unknown {
  if (!(error instanceof ServerError)) return error
  const { code, message, param, retryAfterMs } = error
  // A prompt that is too long says how long it is, not what made it so.
  if (param === undefined && code !== 'context_length_exceeded') return error
  // Messages have other numbers than the items that they were made of.
  const renamed = param === undefined || param.startsWith('messages') ? 'input' : rename(param)
  return new ServerError(code, param === undefined ? message : rename(message), { param: renamed, cause: error.cause, retryAfterMs })
}
