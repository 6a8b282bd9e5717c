import { ServerError } from '../../domain/errors.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { refuseUnsupportedItems } from '../schemas/refuse-unsupported-items.ts'
import { responseParameterPolicies } from '../schemas/response-parameters.ts'
import { type ResponseRequest, responseRequestSchema } from '../schemas/response-request.ts'

/**
 * Reads the body of a request for a response.
 * @throws ServerError for whatever is wrong with it by itself, with `param`
 */
export function readResponseRequest (body: unknown): ResponseRequest {
  if (typeof body === 'object' && body !== null) refuseUnsupported(body)
  const request = parseRequest(responseRequestSchema, body, responseParameterPolicies)
  if (request.previous_response_id !== undefined && request.conversation !== undefined) {
    throw new ServerError('invalid_value', 'Mutually exclusive parameters: \'previous_response_id\' and \'conversation\' both say what comes before; send one of them', { param: 'previous_response_id' })
  }
  if (request.background && request.store === false) {
    throw new ServerError('invalid_value', 'Invalid value for \'store\': a background response has to be stored, so that it can be asked for', { param: 'store' })
  }
  const { summary, generate_summary: older } = request.reasoning
  if (summary != null && older != null && summary !== older) {
    throw new ServerError('invalid_value', `'reasoning.summary' (${summary}) and 'reasoning.generate_summary' (${older}) mean the same; send one of them`, { param: 'reasoning.generate_summary' })
  }
  return request
}

/** Names what OpenAI knows and this server does not, before the schema would only say that it is unknown. */
function refuseUnsupported (body: object): void {
  if ('input' in body) refuseUnsupportedItems(body.input, 'input')
  if ('tools' in body && Array.isArray(body.tools)) {
    for (const [index, tool] of body.tools.entries()) refuseHosted(tool, `tools[${index}]`)
  }
  if (!('tool_choice' in body)) return
  const choice = body.tool_choice
  if (typeof choice !== 'object' || choice === null) return
  if ('type' in choice && choice.type === 'allowed_tools') {
    const tools: unknown = 'tools' in choice ? choice.tools : null
    if (Array.isArray(tools)) for (const [index, tool] of tools.entries()) refuseHosted(tool, `tool_choice.tools[${index}]`)
  } else {
    refuseHosted(choice, 'tool_choice')
  }
}

function refuseHosted (tool: unknown, path: string): void {
  const type = typeof tool === 'object' && tool !== null && 'type' in tool ? tool.type : undefined
  if (typeof type !== 'string' || type === 'function') return
  throw new ServerError('unsupported_value', `Only tools of the type "function" are supported, but ${path} has the type ${JSON.stringify(type).slice(0, 64)}`, { param: `${path}.type` })
}
