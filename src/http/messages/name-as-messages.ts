import { ServerError } from '../../domain/errors.ts'
import type { MessagePrompt } from '../schemas/message-request.ts'

/** Members of chat requests, and what they are called in the Messages API. */
const names: readonly (readonly [RegExp, string])[] = [
  [/\b(tools\[\d+\])\.function\.parameters\b/g, '$1.input_schema'],
  [/\b(tools\[\d+\])\.function\b/g, '$1'],
  [/\bresponse_format\.json_schema\.schema\b/g, 'output_config.format.schema'],
  [/\bresponse_format\b/g, 'output_config.format']
]

/** An error of a chat request, told in the names of the Messages API; whatever else was thrown stays as it is. */
export function nameAsMessages (thrown: unknown, { thinking }: Pick<MessagePrompt, 'thinking'>): unknown {
  if (!(thrown instanceof ServerError)) return thrown
  const effort = thinking === undefined || thinking.type === 'adaptive' ? 'output_config.effort' : 'thinking'
  const rename = (text: string): string => names.reduce((renamed, [pattern, name]) => renamed.replace(pattern, name), text)
    .replace(/\breasoning_effort\b/g, effort)
  const { code, message, param, cause, retryAfterMs } = thrown
  return new ServerError(code, rename(message), { param: param === undefined ? undefined : rename(param), cause, retryAfterMs })
}
