import type { Config, ModelConfig } from '../config/config.ts'
import type { AnswerLength } from '../domain/answer-length.ts'

/** Of a model's answers: its own numbers, else those for all models. */
export const answerLengthOf = (
  { maxTokensDefault, maxTokensLimit }: Pick<ModelConfig, 'maxTokensDefault' | 'maxTokensLimit'>, config: Pick<Config, 'maxTokensDefault' | 'maxTokensLimit'>
): AnswerLength => ({ byDefault: maxTokensDefault ?? config.maxTokensDefault, atMost: maxTokensLimit ?? config.maxTokensLimit })
