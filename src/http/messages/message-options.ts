import type { AnswerFormat } from '../../chat/dialects/answer-parser.ts'
import type { AnswerIdentity } from '../answer-identity.ts'

/** What decides how an answer becomes a message. */
export interface MessageOptions {
  readonly identity: AnswerIdentity
  readonly format: AnswerFormat
  /** What the answer was held to: the request's limit, or the model's where that is less. */
  readonly maxTokens: number
  /** Whether thinking is told; otherwise its signature alone is. */
  readonly showsThinking: boolean
}

/** What ids of tool uses begin with. */
export const toolUsePrefix = 'toolu'
