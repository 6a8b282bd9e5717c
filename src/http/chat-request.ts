import type { ChatMessage } from '../chat/chat-message.ts'
import type { ChatRequest, ToolChoice } from '../chat/prepare-chat.ts'
import { ServerError } from '../domain/errors.ts'
import { type ChatCompletionRequest, chatCompletionRequestSchema, maxParts, refuseUnsupportedMessages } from './schemas/chat-completion-request.ts'
import { checkSamplingRequest } from './schemas/check-sampling-request.ts'
import { chatParameterPolicies } from './schemas/parameter-policy.ts'
import { parseRequest } from './schemas/parse-request.ts'

/**
 * Reads the body of a chat completion request.
 * @throws ServerError for whatever is wrong with it, with `param`
 */
export function readChatBody (body: unknown): ChatCompletionRequest {
  if (typeof body === 'object' && body !== null) refuseUnsupported(body)
  const parsed = parseRequest(chatCompletionRequestSchema, body, chatParameterPolicies)
  if (parsed.top_logprobs !== undefined && parsed.top_logprobs > 0 && !parsed.logprobs) {
    throw new ServerError('invalid_value', 'Invalid value for \'top_logprobs\': it needs \'logprobs\' to be true', { param: 'top_logprobs' })
  }
  if (parsed.add_generation_prompt === parsed.continue_final_message) {
    throw new ServerError('invalid_value', 'Invalid value for \'add_generation_prompt\': an answer is either a new turn, or goes on with the last message where \'continue_final_message\' is true', { param: 'add_generation_prompt' })
  }
  checkChatRequest(parsed)
  return parsed
}

/**
 * The rules between members of a chat request, whichever API it came through.
 * @throws ServerError with `param` in the chat endpoint's terms
 */
export function checkChatRequest (request: ChatCompletionRequest): void {
  checkSamplingRequest(request, request.max_completion_tokens ?? request.max_tokens ?? null)
  checkTools(request)
  checkResults(request)
  budgetOf(request)
}

/**
 * The part of a request that decides prompt and format of the answer.
 * @param messages the request's, or what became of them
 */
export function toChatRequest (body: ChatCompletionRequest, messages: readonly ChatMessage[]): ChatRequest {
  return {
    messages,
    tools: body.tools,
    toolChoice: toToolChoice(body),
    isParallel: body.parallel_tool_calls,
    reasoningBudget: budgetOf(body),
    reasoningEffort: body.reasoning_effort ?? null,
    splitsReasoning: body.reasoning_format !== 'none',
    templateVariables: body.chat_template_kwargs,
    continuesLastMessage: body.continue_final_message
  }
}

/** @throws ServerError `invalid_value` where two of its names say different things */
function budgetOf ({ reasoning_budget: own, reasoning_budget_tokens: tokens, thinking_token_budget: thinking }: ChatCompletionRequest): number | null {
  const [first, ...others] = [own, tokens, thinking].filter((budget) => budget !== undefined)
  if (others.some((budget) => budget !== first)) {
    throw new ServerError('invalid_value', '\'reasoning_budget\', \'reasoning_budget_tokens\' and \'thinking_token_budget\' mean the same; send one of them', { param: 'reasoning_budget' })
  }
  return first === undefined || first === -1 ? null : first
}

function toToolChoice ({ tool_choice: choice = 'auto' }: ChatCompletionRequest): ToolChoice {
  if (typeof choice === 'string') return { mode: choice, names: null }
  if (choice.type === 'function') return { mode: 'required', names: [choice.function.name] }
  const { mode, tools } = choice.allowed_tools
  return { mode, names: tools.map((tool) => tool.function.name) }
}

/** Names what OpenAI knows and this server does not, before the schema would only say that it is unknown. */
function refuseUnsupported (body: object): void {
  if ('messages' in body) refuseUnsupportedMessages(body.messages)
  const parts = 'prediction' in body ? (body.prediction as { readonly content?: unknown } | null)?.content : undefined
  if (Array.isArray(parts) && parts.length > maxParts) {
    throw new ServerError('invalid_value', `The prediction has ${parts.length} parts of content; the limit is ${maxParts}`, { param: 'prediction.content' })
  }
  if (!('tools' in body) || !Array.isArray(body.tools)) return
  const index = body.tools.findIndex((tool: { type?: unknown } | null) => typeof tool?.type === 'string' && tool.type !== 'function')
  if (index === -1) return
  throw new ServerError('unsupported_value', `Only tools of the type "function" are supported, but tools[${index}] has the type ${JSON.stringify(body.tools[index].type).slice(0, 64)}`, { param: `tools[${index}].type` })
}

/**
 * The rules between a request's tools, its choice of them and its output format.
 * @throws ServerError `invalid_value`, `unsupported_value`
 */
export function checkTools (request: ChatCompletionRequest): void {
  const { tools, tool_choice: choice } = request
  const names = tools.map(({ name }) => name)
  const repeated = names.findIndex((name, index) => names.indexOf(name) < index)
  if (repeated !== -1) {
    throw new ServerError('invalid_value', `Invalid value for 'tools[${repeated}].function.name': there is another tool called "${names[repeated]}"`, { param: `tools[${repeated}].function.name` })
  }
  if (choice === undefined || choice === 'none' || choice === 'auto') return
  if (tools.length === 0) {
    throw new ServerError('invalid_value', 'Invalid value for \'tool_choice\': it needs \'tools\'', { param: 'tool_choice' })
  }
  if (choice === 'required') return
  const chosen = choice.type === 'function' ? [choice.function.name] : choice.allowed_tools.tools.map((tool) => tool.function.name)
  const unknown = chosen.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    throw new ServerError('invalid_value', `Invalid value for 'tool_choice': "${unknown}" is none of the tools`, { param: 'tool_choice' })
  }
}

/** A result must belong to a call, or templates would show it out of place. */
function checkResults ({ messages }: ChatCompletionRequest): void {
  const calls = new Set<string>()
  for (const [index, { toolCalls, toolCallId }] of messages.entries()) {
    for (const { id } of toolCalls ?? []) calls.add(id)
    if (toolCallId === undefined || calls.has(toolCallId)) continue
    throw new ServerError('invalid_value', `Invalid value for 'messages[${index}].tool_call_id': no assistant message before it has a call with this id`, { param: `messages[${index}].tool_call_id` })
  }
}
