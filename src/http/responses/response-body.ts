import type { OpenAI } from 'openai'
import type { AnswerIdentity } from '../answer-identity.ts'
import type { ResponseRequest } from '../schemas/response-request.ts'
import type { TokenCounts } from '../usage.ts'
import type { OutputItem } from './response-item.ts'

/** A response on the wire. Every member is always there, null where there is nothing. `output_text` is the clients' own. */
export interface ResponseBody extends Omit<OpenAI.Responses.Response, 'output_text' | 'output' | 'usage'> {
  status: OpenAI.Responses.ResponseStatus
  output: OutputItem[]
  usage: OpenAI.Responses.ResponseUsage | null
  // Told by OpenAI, but not by the types of its client.
  max_tool_calls: number | null
  presence_penalty: number
  frequency_penalty: number
  store: boolean
}

/** A response that has not begun, with what it gives back of its request. */
export function createResponseBody (request: ResponseRequest, identity: AnswerIdentity, isStored: boolean): ResponseBody {
  const { text, reasoning } = request
  return {
    id: identity.id,
    object: 'response',
    created_at: identity.created,
    status: request.background ? 'queued' : 'in_progress',
    background: request.background,
    completed_at: null,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    model: identity.model,
    output: [],
    parallel_tool_calls: request.parallel_tool_calls,
    previous_response_id: request.previous_response_id ?? null,
    conversation: request.conversation ?? null,
    prompt: null,
    prompt_cache_key: request.prompt_cache_key ?? null,
    prompt_cache_retention: request.prompt_cache_retention === 'in-memory' ? 'in_memory' : request.prompt_cache_retention ?? null,
    reasoning: { effort: reasoning.effort ?? null, summary: reasoning.summary ?? reasoning.generate_summary ?? null },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: identity.serviceTier,
    store: isStored,
    temperature: request.temperature,
    top_p: request.top_p,
    presence_penalty: request.presence_penalty,
    frequency_penalty: request.frequency_penalty,
    top_logprobs: request.top_logprobs ?? 0,
    text: { format: toFormat(text.format), verbosity: 'medium' },
    tool_choice: request.tool_choice,
    tools: request.tools.map(({ name, description, parameters, strict }) => ({
      type: 'function', name, description: description ?? null, parameters: parameters ?? null, strict: strict ?? false
    })),
    truncation: 'disabled',
    usage: null,
    // OpenAI has null here; its client's type does not know that.
    ...{ user: request.user ?? null } as { user?: string },
    metadata: request.metadata
  }
}

function toFormat (format: ResponseRequest['text']['format']): OpenAI.Responses.ResponseFormatTextConfig {
  if (format == null || format.type !== 'json_schema') return format ?? { type: 'text' }
  const { name, description, schema, strict } = format
  return {
    type: 'json_schema', name, ...{ description: description ?? null } as { description?: string }, schema: schema as Record<string, unknown>, strict: strict ?? false
  }
}

export const toResponseUsage = ({ promptTokens, cachedTokens, completionTokens, reasoningTokens = 0 }: TokenCounts): OpenAI.Responses.ResponseUsage => ({
  input_tokens: promptTokens,
  input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 },
  output_tokens: completionTokens,
  output_tokens_details: { reasoning_tokens: reasoningTokens },
  total_tokens: promptTokens + completionTokens
})
