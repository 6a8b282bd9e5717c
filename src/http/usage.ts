import type { OpenAI } from 'openai'

export interface TokenCounts {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
}

export const toUsage = ({ promptTokens, cachedTokens, completionTokens }: TokenCounts) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens }
}) satisfies OpenAI.CompletionUsage

/** Whether a stream tells its usage: never, in a chunk of its own at the end, or in every chunk as well. */
export type StreamUsage = 'none' | 'final' | 'continuous'

export const streamUsageOf = (options: { include_usage?: boolean | null | undefined, continuous_usage_stats?: boolean | null | undefined } | undefined): StreamUsage =>
  options?.include_usage === true ? (options.continuous_usage_stats === true ? 'continuous' : 'final') : 'none'
