import { asToken } from '../../domain/ids.ts'
import type { Tokenizer } from '../engine.ts'
import type { BreakerTails } from './dry-penalty.ts'
import { RecentlyUsed } from '../../domain/recently-used.ts'

/** Tails longer than this are cut, as in llama.cpp, so that the scan for breakers stays linear. */
const maxTailTokens = 20
/** Breakers differ between requests, but rarely; each costs a walk over the vocabulary. */
const maxKeptBreakers = 64
/** Lists of breakers, which clients send again and again; put together, they can take megabytes. */
const maxKeptLists = 8

/**
 * Finds, for DRY's sequence breakers, all ways in which tokens can spell them: a token that holds the breaker, or one whose
 * end begins it, with the tokens that finish it (llama.cpp's `get_overlapping_token_sequences`).
 */
export class SequenceBreakers {
  readonly #tokenizer: Tokenizer
  readonly #vocabularySize: number
  readonly #kept = new RecentlyUsed<BreakerTails>(maxKeptBreakers)
  readonly #keptLists = new RecentlyUsed<BreakerTails>(maxKeptLists)
  #texts: readonly string[] | null = null

  constructor (tokenizer: Tokenizer, vocabularySize: number) {
    this.#tokenizer = tokenizer
    this.#vocabularySize = vocabularySize
  }

  /** All tails of several breakers together. */
  tailsOf (breakers: readonly string[]): BreakerTails {
    return this.#keptLists.get(JSON.stringify(breakers), () => {
      const merged = new Map<number, (readonly number[])[]>()
      for (const breaker of breakers) {
        for (const [token, tails] of this.#kept.get(breaker, () => this.#tailsOfOne(breaker))) {
          const known = merged.get(token)
          if (known === undefined) merged.set(token, [...tails])
          else known.push(...tails)
        }
      }
      return merged
    })
  }

  #tailsOfOne (breaker: string): BreakerTails {
    this.#texts ??= Array.from({ length: this.#vocabularySize }, (_, token) => this.#tokenizer.tokenText(asToken(token)))
    const found = new Map<number, readonly (readonly number[])[]>()
    for (const [token, text] of this.#texts.entries()) {
      if (text.includes(breaker)) {
        found.set(token, [[]])
        continue
      }
      const tails: number[][] = []
      for (let start = text.indexOf(breaker.charAt(0)); start >= 0; start = text.indexOf(breaker.charAt(0), start + 1)) {
        const begun = text.slice(start)
        if (!breaker.startsWith(begun)) continue
        const rest = this.#tokenizer.tokenize(breaker.slice(begun.length), { special: false })
        tails.push(rest.slice(0, maxTailTokens))
      }
      if (tails.length > 0) found.set(token, tails)
    }
    return found
  }
}
