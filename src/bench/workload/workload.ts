import type { Millis } from '../../domain/ids.ts'

/** One request of a conversation, without the fields that all requests share (model, stream, sampling). */
export interface Turn {
  /** With `messages` for chat completions or `prompt` for completions. */
  readonly body: Readonly<Record<string, unknown>>
  /** What a person takes to read the last answer and write this. */
  readonly thinkMs: Millis
  /** What is wrong with the text of an answer; null when nothing is. */
  readonly check?: (text: string) => string | null
}

/** One user's requests, each sent after the last one's answer. */
export interface Conversation {
  /** For figures of their own: `long`, `short`, `chat`, … */
  readonly kind: string
  /** @param answer the text of the last turn's answer; null for the first. Null when the conversation is over. */
  next (answer: string | null): Turn | null
}

/** Conversations of one run have numbers from a multiple of this to the next. */
export const conversationsPerRun = 1_000_000

/** What is asked. Conversation number k is the same whatever was asked before: the order of answers changes no question. */
export interface Workload {
  readonly description: string
  /** Whether no prompt begins like another: what a server then finds in its cache, it was asked before. */
  readonly asksAnew: boolean
  conversation (number: number): Conversation
}

/** A conversation of one request. */
export function singleTurn (kind: string, body: Turn['body'], check?: Turn['check']): Conversation {
  return {
    kind,
    next: (answer) => answer === null ? { body, thinkMs: 0, ...(check === undefined ? {} : { check }) } : null
  }
}
