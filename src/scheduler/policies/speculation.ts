import type { Millis, Token } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import { PromptLookup } from './prompt-lookup.ts'
import { StepCosts } from './step-costs.ts'
import { Trust } from './trust.ts'

/** How many guesses may be made at once; few different numbers, so that what each costs is soon known. */
const sizes: readonly number[] = [1, 3, 7, 15]
/** Guesses have to promise so many times the rate of a plain decode: neither rate is known exactly. */
const leastGain = 1.2

const none: ReadonlyMap<Sequence, readonly Token[]> = new Map()

interface Guesser {
  readonly lookup: PromptLookup
  readonly trust: Trust
}

export interface SpeculationLimits {
  /** Most guesses for a sequence in a step. */
  readonly mostGuesses: number
  readonly stepTokens: number
  readonly contextSize: number
  readonly endTokens: ReadonlySet<Token>
}

/**
 * How many tokens of one lane's sequences are guessed in a step, to be checked by the same forward pass that draws the next token
 * (speculative decoding). What guesses change is the time alone: they are made where the tokens that they promise, by how often
 * such guesses of the sequence were right, are worth the time that they take, by how long such steps took.
 *
 * All sequences of a step get the same number of guesses, or none of them any: llama.cpp reads as many tokens of each slot in a
 * pass as it has of all of them, and the rest in passes of their own, each of which reads all weights again.
 */
export class Speculation {
  readonly #limits: SpeculationLimits
  readonly #costs = new StepCosts()
  readonly #guessers = new WeakMap<Sequence, Guesser>()

  constructor (limits: SpeculationLimits) {
    this.#limits = limits
  }

  /**
   * The guesses for the step's sequences; none when they do not pay.
   * @param sequences all that the step serves; each waits for its next token
   */
  guess (sequences: readonly Sequence[]): ReadonlyMap<Sequence, readonly Token[]> {
    const guessers = sequences.map((sequence) => this.#guesserOf(sequence))
    // Most steps end here: this costs every step of every stream.
    if (guessers.some(({ lookup }) => lookup.matchLength === 0)) return none
    const room = Math.min(...sequences.map((sequence) => this.#roomOf(sequence)))
    const count = this.#bestCount(guessers, room)
    if (count === 0) return none
    const guesses = guessers.map(({ lookup }) => lookup.guesses(count, this.#limits.endTokens))
    const least = Math.min(...guesses.map(({ length }) => length))
    if (least === 0) return none
    return new Map(sequences.map((sequence, index) => [sequence, (guesses[index] as readonly Token[]).slice(0, least)]))
  }

  /** A step that only decoded, with so many guesses in all, took so long. */
  learn (decodes: number, guesses: number, durationMs: Millis): void {
    this.#costs.learn(decodes + guesses, durationMs)
  }

  #bestCount (guessers: readonly Guesser[], most: number): number {
    const sequences = guessers.length
    const plainMs = this.#costs.estimate(sequences, sequences)
    if (plainMs === null) return 0
    const chances = guessers.map(() => 1)
    let expected = sequences
    let guessed = 0
    let best = 0
    let bestRate = leastGain * rate(sequences, plainMs)
    let considered = 0
    for (const count of sizes) {
      const tokens = sequences * (1 + count)
      if (count > most || tokens > this.#limits.stepTokens) break
      for (; guessed < count; guessed++) {
        for (const [index, { lookup, trust }] of guessers.entries()) {
          chances[index] = (chances[index] as number) * trust.chance(lookup.matchLength + guessed)
          expected += chances[index]
        }
      }
      considered++
      const countRate = rate(expected, this.#costs.estimate(tokens, sequences) ?? Infinity)
      if (countRate <= bestRate) continue
      best = count
      bestRate = countRate
    }
    if (considered === 0) return 0
    if (best !== 0) this.#costs.passOver(sequences)
    for (const count of sizes.slice(0, considered)) if (count !== best) this.#costs.passOver(sequences * (1 + count))
    return best
  }

  /** How many guesses could be of use to it: with all of them right, one more token is drawn. */
  #roomOf ({ request, drawnTokens, tokens }: Sequence): number {
    const { mostGuesses, contextSize } = this.#limits
    if (request.sampling.grammar !== null) return 0
    return Math.max(0, Math.min(mostGuesses, (request.maxTokens ?? Infinity) - drawnTokens - 1, contextSize - tokens.length - 1))
  }

  #guesserOf (sequence: Sequence): Guesser {
    let guesser = this.#guessers.get(sequence)
    if (guesser === undefined) {
      const trust = new Trust()
      guesser = { trust, lookup: new PromptLookup(sequence.tokens, (isRight, length) => trust.observe(isRight, length)) }
      this.#guessers.set(sequence, guesser)
    }
    guesser.lookup.follow()
    return guesser
  }
}

/** Steps that take no time are told apart by what they promise. */
const shortestMs = 1e-3
const rate = (tokens: number, durationMs: Millis): number => tokens / Math.max(shortestMs, durationMs)
