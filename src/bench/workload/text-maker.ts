import type { Random } from '../../domain/random.ts'
import { commonWords } from './common-words.ts'

/** How a server counts: found by asking it (see `calibrate`). */
export interface TokenScale {
  /** Tokens of one of our words, on average. */
  readonly tokensPerWord: number
  /** Tokens that the chat template adds to a prompt of one message. */
  readonly overheadTokens: number
}

/** Writes texts of about so many tokens, of words drawn at random: no two begin alike, so no prefix cache helps by accident. */
export class TextMaker {
  readonly #scale: TokenScale

  constructor (scale: TokenScale) {
    this.#scale = scale
  }

  /** A whole prompt of one message: the template's tokens are taken off. */
  prompt (random: Random, tokens: number): string {
    return this.text(random, tokens - this.#scale.overheadTokens)
  }

  /** At least one word. */
  text (random: Random, tokens: number): string {
    return makeWords(random, Math.max(1, Math.round(tokens / this.#scale.tokensPerWord)))
  }

  /** About how many tokens a text of people has; theirs are not our words, so it is an estimate. */
  estimateTokens (text: string): number {
    return Math.max(1, Math.round(text.split(/\s+/).filter(Boolean).length * Math.max(1.3, this.#scale.tokensPerWord)))
  }
}

export function makeWords (random: Random, count: number): string {
  const words: string[] = []
  for (let index = 0; index < count; index++) words.push(random.pick(commonWords))
  return words.join(' ')
}
