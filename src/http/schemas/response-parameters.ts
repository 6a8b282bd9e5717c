import { z } from 'zod'
import { never, only, type ParameterPolicies, sharedPolicies } from './parameter-policy.ts'

// The Responses API gives these back in its answer, so they are part of its schema.
const { user: _user, ...others } = sharedPolicies

/** What the Responses API knows, or clients mistake for a part of it, and what has no effect here. */
export const responseParameterPolicies = {
  ...others,
  truncation: only(z.literal('disabled'), 'Only "disabled" is supported: prompts are never truncated.'),
  n: only(z.literal(1), 'A response has one answer; send several requests, or use /v1/chat/completions.'),
  prompt_cache_options: only(z.looseObject({}), 'It must be an object.'),
  context_management: only(z.array(z.never()).max(0), 'Conversations are never compacted; shorten the input.'),
  modalities: only(z.array(z.literal('text')).length(1), 'Only ["text"] is supported.'),
  prompt: never('Prompt templates are not supported; send "instructions" and "input".'),
  moderation: never('This server has no moderation.'),
  messages: never('Use "input", or /v1/chat/completions.'),
  max_tokens: never('Use "max_output_tokens".'),
  max_completion_tokens: never('Use "max_output_tokens".'),
  response_format: never('Use "text": {"format": …}.'),
  verbosity: never('Use "text": {"verbosity": …}.'),
  reasoning_effort: never('Use "reasoning": {"effort": …}.'),
  logprobs: never('Use "include": ["message.output_text.logprobs"] and "top_logprobs".'),
  functions: never('Use "tools".'),
  function_call: never('Use "tool_choice".')
} satisfies ParameterPolicies
