import type { Caller } from '../access/caller.ts'
import { strictestLimit } from '../access/limits/subjects.ts'
import { type AnswerLength, maxTokensOf } from '../domain/answer-length.ts'

/** How long an answer may be, and how much it may go on from; as a run takes them. */
export interface AnswerBounds {
  readonly maxTokens: number | null
  readonly contextLimit?: number
}

/** @param asked by the request; null where it does not say */
export function answerBounds ({ limits }: Pick<Caller, 'limits'>, asked: number | null, length: AnswerLength | undefined): AnswerBounds {
  const most = Math.min(maxTokensOf(asked, length) ?? Infinity, strictestLimit(limits, 'answerTokens') ?? Infinity)
  const contextLimit = strictestLimit(limits, 'contextTokens')
  return { maxTokens: most === Infinity ? null : most, ...contextLimit === null ? {} : { contextLimit } }
}
