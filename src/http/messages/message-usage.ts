import type { Anthropic } from '@anthropic-ai/sdk'
import type { AnswerIdentity } from '../answer-identity.ts'
import type { TokenCounts } from '../usage.ts'

const tiers = { default: 'standard', flex: 'batch', priority: 'priority' } as const

/** Tokens so far. Anthropic does not count those of the prompt that were cached as input, but beside it; nothing is charged for caching. */
export const toDeltaUsage = ({ promptTokens, cachedTokens, completionTokens, reasoningTokens = 0 }: TokenCounts) => ({
  input_tokens: promptTokens - cachedTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cachedTokens,
  output_tokens: completionTokens,
  output_tokens_details: { thinking_tokens: reasoningTokens },
  server_tool_use: null
}) satisfies Anthropic.MessageDeltaUsage

export const toMessageUsage = (counts: TokenCounts, tier: AnswerIdentity['serviceTier']) => ({
  ...toDeltaUsage(counts),
  cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
  inference_geo: null,
  service_tier: tiers[tier],
  speed: 'standard'
}) satisfies Anthropic.Usage
