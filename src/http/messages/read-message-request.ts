import { ServerError } from '../../domain/errors.ts'
import { refuseUnsupportedBlocks } from '../schemas/message-content.ts'
import { type MessagePrompt, type MessageRequest, countMessageTokensRequestSchema, messageParameterPolicies, messageRequestSchema } from '../schemas/message-request.ts'
import { parseRequest } from '../schemas/parse-request.ts'

/**
 * Reads the body of `POST /v1/messages`.
 * @throws ServerError for whatever is wrong with it, with `param`
 */
export function readMessageRequest (body: unknown): MessageRequest {
  refuseUnsupported(body)
  const request = parseRequest(messageRequestSchema, body, messageParameterPolicies)
  const { thinking, max_tokens: maxTokens } = request
  if (thinking?.type === 'enabled' && thinking.budget_tokens >= maxTokens) {
    throw new ServerError('invalid_value', `Invalid value for 'thinking.budget_tokens': expected less than 'max_tokens' (${maxTokens}), but got ${thinking.budget_tokens}`, { param: 'thinking.budget_tokens' })
  }
  return request
}

/** Reads the body of `POST /v1/messages/count_tokens`. */
export function readCountMessageTokensRequest (body: unknown): MessagePrompt {
  refuseUnsupported(body)
  return parseRequest(countMessageTokensRequestSchema, body, messageParameterPolicies)
}

/** Names what Anthropic knows and this server does not, before the schema would only say that it is unknown. */
function refuseUnsupported (body: unknown): void {
  if (typeof body !== 'object' || body === null) return
  const { messages, system } = body as { readonly messages?: unknown, readonly system?: unknown }
  refuseUnsupportedBlocks(messages, system)
  if (!('tools' in body) || !Array.isArray(body.tools)) return
  const index = body.tools.findIndex((tool: { type?: unknown } | null) => typeof tool?.type === 'string' && tool.type !== 'custom')
  if (index === -1) return
  throw new ServerError('unsupported_value', `Only tools that the client defines and runs are supported, but tools[${index}] has the type ${JSON.stringify(body.tools[index].type).slice(0, 64)}`, { param: `tools[${index}].type` })
}
