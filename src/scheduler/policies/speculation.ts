import type { Millis, Token } from '../../domain/ids.ts'
import type { DraftOutcome } from '../plan.ts'
import type { Sequence } from '../sequence.ts'
import type { StepDraft } from '../step-outcome.ts'
import { DraftTrust } from './draft-trust.ts'
import { PromptLookup } from './prompt-lookup.ts'
import { StepCosts } from './step-costs.ts'
import { Trust } from './trust.ts'

/** How many guesses may be made at once; few different numbers, so that what each costs is soon known. */
const sizes: readonly number[] = [1, 3, 7, 15]
/** Guesses have to promise so many times the rate of a plain decode: neither rate is known exactly. */
const leastGain = 1.2
/** Of so many steps in which only a draft was thought about, and not made, one makes what is known of others count less. */
const draftsPerForgetting = 16

/** What a sequence gets in a step: guesses, or room for so many of the draft model's. */
export interface Guess {
  readonly tokens: readonly Token[]
  /** How many of them, the first ones, are the prediction's of the request. */
  readonly predicted: number
  readonly draft: number
}

const none: ReadonlyMap<Sequence, Guess> = new Map()

interface Guesser {
  readonly lookup: PromptLookup
  readonly trust: Trust
  readonly draftTrust: DraftTrust
}

/** Where the guesses of each sequence of a step come from: true is the draft model. */
type Way = readonly boolean[]

interface Choice {
  readonly way: Way
  readonly count: number
  /** Tokens drawn for the time, as expected. */
  readonly rate: number
}

export interface SpeculationLimits {
  /** Most guesses for a sequence in a step. */
  readonly mostGuesses: number
  /** Whether the engine has a draft model. */
  readonly hasDraftModel: boolean
  readonly stepTokens: number
  readonly contextSize: number
  readonly endTokens: ReadonlySet<Token>
}

/**
 * How many tokens of one lane's sequences are guessed in a step, to be checked by the same forward pass that draws the next token
 * (speculative decoding). What guesses change is the time alone: they are made where the tokens that they promise, by how often
 * such guesses of the sequence were right, are worth the time that they take, by how long such steps took. They come from what the
 * sequence said before (prompt lookup), or from a draft model where that promises more.
 *
 * All sequences of a step get the same number of guesses, or none of them any: llama.cpp reads as many tokens of each slot in a
 * pass as it has of all of them, and the rest in passes of their own, each of which reads all weights again.
 */
export class Speculation {
  readonly #limits: SpeculationLimits
  readonly #costs = new StepCosts()
  /** Of one round of drafting, by how many slots it is for. */
  readonly #draftCosts = new StepCosts()
  readonly #draftTrust = new DraftTrust()
  readonly #guessers = new WeakMap<Sequence, Guesser>()
  #draftsPassedOver = 0

  constructor (limits: SpeculationLimits) {
    this.#limits = limits
  }

  /**
   * The guesses for the step's sequences; none when they do not pay.
   * @param sequences all that the step serves; each waits for its next token
   */
  guess (sequences: readonly Sequence[]): ReadonlyMap<Sequence, Guess> {
    const guessers = sequences.map((sequence) => this.#guesserOf(sequence))
    const ways = this.#waysOf(guessers)
    // Without a draft model most steps end here: this costs every step of every stream.
    if (ways.length === 0) return none
    const room = Math.min(...sequences.map((sequence) => this.#roomOf(sequence)))
    const choice = this.#best(guessers, ways, room)
    if (this.#limits.hasDraftModel && choice?.way.includes(true) !== true) this.#forgetDrafts(guessers)
    if (choice === null) return none
    const { count, way } = choice
    const guesses = guessers.map(({ lookup }, index): Guess => way[index] === true
      ? { tokens: [], predicted: 0, draft: count }
      : { tokens: lookup.guesses(count, this.#limits.endTokens), predicted: lookup.predictedAhead, draft: 0 })
    const least = Math.min(...guesses.map(({ tokens, draft }) => tokens.length + draft))
    if (least === 0) return none
    return new Map(sequences.map((sequence, index) => {
      const { tokens, predicted, draft } = guesses[index] as Guess
      return [sequence, { tokens: tokens.slice(0, least), predicted: Math.min(predicted, tokens.length, least), draft: Math.min(draft, least) }]
    }))
  }

  /** A step that only decoded, with so many guesses in all, took so long, drafting aside; and what came of drafting. */
  learn (decodes: number, guesses: number, durationMs: Millis, draft?: StepDraft): void {
    this.#costs.learn(decodes + guesses, durationMs)
    if (draft !== undefined && draft.rounds > 0) this.#draftCosts.learn(draft.slots, draft.durationMs / draft.rounds)
  }

  /** What came of a draft for a sequence, and how many of its guesses were right. One that says nothing is no better than one that is wrong. */
  noteDraft (sequence: Sequence, drafted: DraftOutcome | undefined, right: number): void {
    if (drafted?.isBehind === true) return
    this.#guessers.get(sequence)?.draftTrust.observe(Math.max(1, drafted?.count ?? 0), right)
  }

  /** All by lookup, where each sequence repeats itself; and each by what promises more, where that makes a difference. */
  #waysOf (guessers: readonly Guesser[]): readonly Way[] {
    const ways: Way[] = []
    if (guessers.every(({ lookup }) => lookup.matchLength > 0)) ways.push(guessers.map(() => false))
    if (!this.#limits.hasDraftModel) return ways
    const mixed = guessers.map(({ lookup, trust, draftTrust }) =>
      lookup.matchLength === 0 || trust.chance(lookup.matchLength) < draftTrust.chance)
    if (mixed.includes(true)) ways.push(mixed)
    return ways
  }

  #best (guessers: readonly Guesser[], ways: readonly Way[], most: number): Choice | null {
    const sequences = guessers.length
    const plainMs = this.#costs.estimate(sequences, sequences)
    if (plainMs === null) return null
    const counts = sizes.filter((count) => count <= most && sequences * (1 + count) <= this.#limits.stepTokens)
    let best: Choice | null = null
    for (const way of ways) {
      for (const choice of this.#choices(guessers, way, counts)) {
        if (choice.rate > (best?.rate ?? leastGain * rate(sequences, plainMs))) best = choice
      }
    }
    if (counts.length > 0 && best !== null) this.#costs.passOver(sequences)
    if (best !== null || this.#isWorthForgetting(ways)) {
      for (const count of counts) if (count !== best?.count) this.#costs.passOver(sequences * (1 + count))
    }
    return best
  }

  /** A draft model is thought about in every step, a lookup only where there is a match: what checking takes would soon be forgotten. */
  #isWorthForgetting (ways: readonly Way[]): boolean {
    return ways.some((way) => !way.includes(true)) || ++this.#draftsPassedOver % draftsPerForgetting === 0
  }

  #choices (guessers: readonly Guesser[], way: Way, counts: readonly number[]): readonly Choice[] {
    const sequences = guessers.length
    const drafting = way.filter((isDraft) => isDraft).length
    // What is not known yet is hoped to cost nothing, so that it is tried.
    const roundMs = drafting === 0 ? 0 : this.#draftCosts.estimate(drafting, drafting) ?? 0
    const chances = guessers.map(() => 1)
    let expected = sequences
    let guessed = 0
    return counts.map((count) => {
      for (; guessed < count; guessed++) {
        for (const [index, { lookup, trust, draftTrust }] of guessers.entries()) {
          chances[index] = (chances[index] as number) * (way[index] === true ? draftTrust.chance : trust.chance(lookup.matchLength + guessed))
          expected += chances[index]
        }
      }
      const stepMs = this.#costs.estimate(sequences * (1 + count), sequences) ?? Infinity
      return { way, count, rate: rate(expected, stepMs + count * roundMs) }
    })
  }

  /** What was found out of drafts counts less: they may be better by now, or cheaper. */
  #forgetDrafts (guessers: readonly Guesser[]): void {
    this.#draftTrust.passOver()
    for (const { draftTrust } of guessers) draftTrust.passOver()
    this.#draftCosts.passOver(guessers.length)
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
      const { prediction } = sequence.request
      const lookup = new PromptLookup(sequence.tokens, (isRight, length) => trust.observe(isRight, length),
        prediction === undefined ? undefined : { tokens: prediction, drawn: sequence.drawnTokens })
      guesser = { trust, lookup, draftTrust: new DraftTrust(this.#draftTrust) }
      this.#guessers.set(sequence, guesser)
    }
    guesser.lookup.follow()
    return guesser
  }
}

/** Steps that take no time are told apart by what they promise. */
const shortestMs = 1e-3
const rate = (tokens: number, durationMs: Millis): number => tokens / Math.max(shortestMs, durationMs)
