import type { OpenAI } from 'openai'
import type { TextLogprob } from '../inference/inference.ts'

/** JSON has no infinity; this is as good as never, as in vLLM. */
const leastLogprob = -9999

const finite = (logprob: number): number => Math.max(leastLogprob, logprob)

/** The chat endpoint's form. */
export const toChatLogprobs = (logprobs: readonly TextLogprob[]) => logprobs.map(({ token, logprob, bytes, top }) => ({
  token,
  logprob: finite(logprob),
  bytes: [...bytes],
  top_logprobs: top.map((candidate) => ({
    token: candidate.token, logprob: finite(candidate.logprob), bytes: [...candidate.bytes]
  }))
})) satisfies OpenAI.Chat.ChatCompletionTokenLogprob[]

const countCodePoints = (text: string): number => Array.from(text).length

export interface LegacyLogprobs extends Required<OpenAI.CompletionChoice.Logprobs> {}

/**
 * The completions endpoint's form, choice by choice: `text_offset` counts the characters (code points, as in Python) of
 * the answer before a token. A token that holds part of a character starts where that character will.
 */
export class LegacyLogprobWriter {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #offset = 0

  take (logprobs: readonly TextLogprob[]): LegacyLogprobs {
    const columns: LegacyLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] }
    for (const { token, logprob, bytes, top } of logprobs) {
      columns.tokens.push(token)
      columns.token_logprobs.push(finite(logprob))
      columns.text_offset.push(this.#offset)
      // As OpenAI has it, the drawn token is in the list even if it is not among the most likely ones.
      const candidates = [...top, { token, logprob }].map((candidate) => [candidate.token, finite(candidate.logprob)] as const)
      columns.top_logprobs.push(Object.fromEntries(candidates))
      this.#offset += countCodePoints(this.#decoder.decode(Uint8Array.from(bytes), { stream: true }))
    }
    return columns
  }
}

export const joinLegacyLogprobs = (parts: readonly LegacyLogprobs[]): LegacyLogprobs => ({
  tokens: parts.flatMap((part) => part.tokens),
  token_logprobs: parts.flatMap((part) => part.token_logprobs),
  top_logprobs: parts.flatMap((part) => part.top_logprobs),
  text_offset: parts.flatMap((part) => part.text_offset)
})
