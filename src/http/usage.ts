import type { OpenAI } from 'openai'
import type { PredictionCounts } from '../inference/inference.ts'

export interface TokenCounts {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** Those of them that are reasoning. */
  readonly reasoningTokens?: number
  /** What came of guesses from the request's prediction. */
  readonly prediction?: PredictionCounts
}

const unpredicted: PredictionCounts = { accepted: 0, rejected: 0 }

export const toUsage = ({ promptTokens, cachedTokens, completionTokens, reasoningTokens = 0, prediction = unpredicted }: TokenCounts) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: reasoningTokens, audio_tokens: 0, accepted_prediction_tokens: prediction.accepted, rejected_prediction_tokens: prediction.rejected
  }
}) satisfies OpenAI.CompletionUsage

/** Of what has no answer in tokens: embeddings and ranks. */
export const toPromptUsage = (promptTokens: number) => ({ prompt_tokens: promptTokens, total_tokens: promptTokens })

/** Whether a stream tells its usage: never, in a chunk of its own at the end, or in every chunk as well. */
export type StreamUsage = 'none' | 'final' | 'continuous'

export const streamUsageOf = (options: { include_usage?: boolean | null | undefined, continuous_usage_stats?: boolean | null | undefined } | undefined): StreamUsage =>
  options?.include_usage === true ? (options.continuous_usage_stats === true ? 'continuous' : 'final') : 'none'
