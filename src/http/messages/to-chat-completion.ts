import type { ChatModel } from '../../chat/prepare-chat.ts'
import { ServerError } from '../../domain/errors.ts'
import { checkTools } from '../chat-request.ts'
import { type ChatCompletionRequest, chatCompletionRequestSchema } from '../schemas/chat-completion-request.ts'
import type { MessagePrompt, MessageRequest } from '../schemas/message-request.ts'
import { reasoningBudgetOf, reasoningEffortOf } from './message-reasoning.ts'
import { toConversation } from './to-conversation.ts'

type ReasoningModel = Pick<ChatModel, 'template' | 'dialect'>

/** What a chat request is where nothing is said. */
const defaults = chatCompletionRequestSchema.omit({ model: true, messages: true }).parse({})

/**
 * A request of the Messages API as a chat request.
 * @param model decides what can be asked of its reasoning
 * @throws ServerError for what of the prompt cannot be done; in the names of chat requests, which `nameAsMessages` changes
 */
export function toChatPrompt (body: MessagePrompt, model: ReasoningModel): ChatCompletionRequest {
  const { tool_choice: choice, output_config: output, output_format: olderFormat } = body
  const format = output?.format ?? olderFormat
  const { messages, continuesLastMessage } = toConversation(body)
  const request: ChatCompletionRequest = {
    ...defaults,
    model: body.model,
    messages: [...messages],
    tools: body.tools,
    tool_choice: toToolChoice(choice),
    parallel_tool_calls: choice === undefined || choice.type === 'none' || choice.disable_parallel_tool_use !== true,
    reasoning_effort: reasoningEffortOf(body, model.template.source),
    reasoning_budget: reasoningBudgetOf(body, model.dialect),
    continue_final_message: continuesLastMessage,
    ...(format === undefined ? {} : { response_format: { type: 'json_schema', json_schema: { name: 'output', schema: format.schema } } })
  }
  if (continuesLastMessage) checkContinuation(body, format !== undefined)
  checkTools(request)
  return request
}

/** @see toChatPrompt */
export function toChatCompletion (body: MessageRequest, model: ReasoningModel): ChatCompletionRequest {
  return {
    ...toChatPrompt(body, model),
    max_tokens: body.max_tokens,
    stop: body.stop_sequences,
    stream: body.stream,
    temperature: body.temperature,
    top_p: body.top_p,
    top_k: body.top_k,
    service_tier: body.service_tier === 'standard_only' ? 'default' : 'auto'
  }
}

function toToolChoice (choice: MessagePrompt['tool_choice']): ChatCompletionRequest['tool_choice'] {
  if (choice === undefined) return undefined
  switch (choice.type) {
    case 'any': return 'required'
    case 'tool': return { type: 'function', function: { name: choice.name } }
    case 'auto':
    case 'none':
      return choice.type
  }
}

/** As with Anthropic: what an answer has to begin with cannot come after what it has begun with. */
function checkContinuation ({ thinking }: MessagePrompt, hasFormat: boolean): void {
  if (hasFormat) {
    throw new ServerError('unsupported_value', 'An output format holds the whole answer, so the last message must not be the assistant\'s', { param: 'output_config.format' })
  }
  if (thinking?.type === 'enabled') {
    throw new ServerError('unsupported_value', 'An answer that begins with thinking cannot go on with the last message, which is the assistant\'s', { param: 'thinking' })
  }
}
