import type { ChatMessage, ToolDefinition } from '../../chat/chat-message.ts'
import type { ChatCompletionRequest } from '../schemas/chat-completion-request.ts'
import type { ResponseRequest } from '../schemas/response-request.ts'

/** The same request in the chat endpoint's terms: from there on there is one way to the models. */
export function toChatCompletion (request: ResponseRequest, messages: ChatMessage[]): ChatCompletionRequest {
  const {
    input: _input,
    instructions: _instructions,
    previous_response_id: _previous,
    conversation: _conversation,
    tools,
    tool_choice: choice,
    text,
    reasoning,
    max_output_tokens: maxTokens,
    max_tool_calls: _maxToolCalls,
    top_logprobs: topLogprobs,
    include,
    metadata: _metadata,
    store: _store,
    background: _background,
    user: _user,
    safety_identifier: _safetyIdentifier,
    prompt_cache_key: _promptCacheKey,
    prompt_cache_retention: _promptCacheRetention,
    service_tier: tier,
    ...others
  } = request
  const hasLogprobs = include.includes('message.output_text.logprobs') || (topLogprobs ?? 0) > 0
  return {
    ...others,
    messages,
    n: 1,
    continue_final_message: false,
    service_tier: tier,
    tools: tools.map(toDefinition),
    tool_choice: toToolChoice(choice, tools.length),
    response_format: toResponseFormat(text.format),
    reasoning_effort: reasoning.effort ?? undefined,
    max_completion_tokens: maxTokens,
    logprobs: hasLogprobs,
    top_logprobs: hasLogprobs ? topLogprobs ?? 0 : undefined
  }
}

const toDefinition = ({ name, description, parameters, strict }: ResponseRequest['tools'][number]): ToolDefinition => ({
  name,
  ...(description == null ? {} : { description }),
  ...(parameters == null ? {} : { parameters }),
  isStrict: strict ?? false
})

/** `auto` is also what is meant where there are no tools to choose from. */
function toToolChoice (choice: ResponseRequest['tool_choice'], toolCount: number): ChatCompletionRequest['tool_choice'] {
  if (typeof choice === 'string') return choice === 'auto' && toolCount === 0 ? undefined : choice
  if (choice.type === 'function') return { type: 'function', function: { name: choice.name } }
  const { mode, tools } = choice
  return { type: 'allowed_tools', allowed_tools: { mode, tools: tools.map(({ name }) => ({ type: 'function', function: { name } })) } }
}

function toResponseFormat (format: ResponseRequest['text']['format']): ChatCompletionRequest['response_format'] {
  if (format == null || format.type !== 'json_schema') return format ?? undefined
  const { name, description, schema, strict } = format
  return { type: 'json_schema', json_schema: { name, description, schema, strict } }
}
