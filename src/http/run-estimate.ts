import type { EngineInfo } from '../engine/engine.ts'
import { bytesOf, leastTokensOf, promptRefusal } from '../inference/call-limits.ts'
import type { Prompt } from '../inference/inference.ts'
import type { AnswerBounds } from './answer-bounds.ts'

/** Bytes of a token in most texts, as OpenAI counts before a request runs. What it really was is known after it. */
const likelyBytes = 4

/** Of an answer to a request that does not say. */
const likelyAnswerTokens = 1024

/** What a request takes, before it runs and without tokenizing anything. */
export interface RunEstimate {
  /** No fewer tokens, with all that it asks for. */
  readonly leastTokens: number
  readonly promptTokens: number
  readonly answerTokens: number
}

export interface EstimatedRun extends AnswerBounds {
  readonly prompts: readonly Prompt[]
  /** To each prompt; 0 for vectors and ranks. */
  readonly choices: number
}

/** @throws ServerError `context_length_exceeded` for a prompt of which it is known already that it is beyond the key's limit */
export function estimateRun ({ prompts, choices, maxTokens, contextLimit = Infinity }: EstimatedRun, info: EngineInfo): RunEstimate {
  const estimate = { leastTokens: 0, promptTokens: 0, answerTokens: 0 }
  const contextSize = Math.min(info.contextSize, contextLimit)
  for (const prompt of prompts) {
    // The model's own context is looked at when it runs.
    const refusal = contextLimit === Infinity ? null : promptRefusal(prompt, info, contextLimit)
    if (refusal !== null) throw refusal
    const least = leastTokensOf(prompt, info)
    const likely = 'tokens' in prompt ? least : Math.max(least, Math.ceil(bytesOf(prompt) / likelyBytes))
    const room = (promptTokens: number): number => Math.max(0, contextSize - promptTokens)
    estimate.leastTokens += least + choices * (maxTokens === null ? 1 : Math.min(maxTokens, room(least)))
    // A prompt is read once for all its choices.
    estimate.promptTokens += choices === 0 ? likely : Math.min(likely, contextSize)
    estimate.answerTokens += choices * Math.min(maxTokens ?? likelyAnswerTokens, room(likely))
  }
  return estimate
}
