import type { Token } from '../../domain/ids.ts'

/** Shorter repetitions are chance. */
const shortestMatch = 2
/** How many earlier places are compared with the end, newest first, and how far back. */
const placesTried = 8
const farthestCompared = 32
/** Most tokens that one call takes into the index: a long prompt is read over several steps, each of which waits for it. */
const indexedAtOnce = 2048
/** Above every vocabulary; two tokens still make an exact number. */
const tokenRange = 2 ** 26

/** A text that the answer may be like: what it says, and how many tokens of the answer there are already. */
export interface Prediction {
  readonly tokens: readonly Token[]
  readonly drawn: number
}

/** Hears whether what was expected next was drawn, and how many tokens before it had repeated by then. */
export type OnExpected = (isRight: boolean, matchLength: number) => void

const unpredicted: Prediction = { tokens: [], drawn: 0 }

/**
 * Guesses what a sequence says next from what it holds already (prompt lookup decoding, Saxena 2023): answers quote their prompts and
 * repeat themselves. The end of the tokens is looked for further up, as LZ77 looks for matches: chains of places where the same
 * two tokens stand, of the latest of which the one with the longest match is taken. As long as a match goes on it is followed.
 *
 * A prediction stands before all tokens, and the answer is expected to begin as it does.
 *
 * It notices how right it is without anybody acting on it: each token that is drawn is compared with the one that was expected.
 */
export class PromptLookup {
  readonly #predicted: readonly Token[]
  readonly #tokens: readonly Token[]
  readonly #onExpected: OnExpected
  /** Where a pair of tokens stood last: the place after it. */
  readonly #latest = new Map<number, number>()
  /** By place after a pair: the place after the same pair before; 0 for none. */
  readonly #earlier: number[] = []
  /** So many tokens are in the index. */
  #indexed = 0
  /** So many tokens were compared with what was expected, or were there from the beginning. */
  #followed: number
  /** Where the match goes on; 0 where there is none. */
  #source = 0
  #matchLength = 0

  /**
   * @param tokens a live view: what is appended to it is seen by the next `follow`
   */
  constructor (tokens: readonly Token[], onExpected: OnExpected, { tokens: predicted, drawn }: Prediction = unpredicted) {
    this.#predicted = predicted
    this.#tokens = tokens
    this.#followed = this.#length
    this.#onExpected = onExpected
    if (drawn < predicted.length && tokens.slice(tokens.length - drawn).every((token, index) => token === predicted[index])) {
      this.#source = drawn
      this.#matchLength = shortestMatch + drawn
    }
  }

  /** Places are counted from the prediction's beginning. */
  get #length (): number { return this.#predicted.length + this.#tokens.length }

  #tokenAt (place: number): Token | undefined {
    const { length } = this.#predicted
    return place < length ? this.#predicted[place] : this.#tokens[place - length]
  }

  /** How many tokens at the end stand further up too, 0 where there is nothing to go by; counted up to some dozens at first. */
  get matchLength (): number { return this.#matchLength }

  /** How many of the guesses that it would make now, the first ones, are the prediction's. */
  get predictedAhead (): number { return this.#matchLength === 0 ? 0 : Math.max(0, this.#predicted.length - this.#source) }

  /** Takes in what was appended since the last call. */
  follow (): void {
    const length = this.#length
    while (this.#followed < length) {
      const token = this.#tokenAt(this.#followed)
      if (this.#matchLength > 0) {
        const isRight = token === this.#tokenAt(this.#source)
        this.#onExpected(isRight, this.#matchLength)
        if (isRight) {
          this.#source++
          this.#matchLength++
        } else {
          this.#matchLength = 0
        }
      }
      this.#followed++
      if (this.#matchLength === 0) {
        this.#index(this.#followed)
        this.#find(this.#followed)
      }
    }
    this.#index(length)
    if (this.#matchLength === 0) this.#find(length)
  }

  /**
   * What comes next if the match goes on, as many as asked for, or fewer: none of the tokens in `without` is guessed, nor anything
   * behind one. A repetition that reaches the end goes on with itself.
   */
  guesses (count: number, without: ReadonlySet<Token>): readonly Token[] {
    const guesses: Token[] = []
    if (this.#matchLength === 0) return guesses
    const length = this.#length
    for (let at = this.#source; guesses.length < count; at++) {
      const token = at < length ? this.#tokenAt(at) : guesses[at - length]
      if (token === undefined || without.has(token)) break
      guesses.push(token)
    }
    return guesses
  }

  /** Looks for the match of the first `end` tokens. */
  #find (end: number): void {
    if (end < shortestMatch || this.#indexed < end) return
    let place = this.#earlier[end] ?? 0
    for (let tried = 0; place > 0 && tried < placesTried; tried++) {
      let matched = shortestMatch
      while (matched < farthestCompared && matched < place && this.#tokenAt(place - 1 - matched) === this.#tokenAt(end - 1 - matched)) matched++
      // What the prediction says as well is its guess.
      const isBetter = matched > this.#matchLength || (matched === this.#matchLength && place < this.#predicted.length)
      if (isBetter) {
        this.#matchLength = matched
        this.#source = place
      }
      place = this.#earlier[place] ?? 0
    }
  }

  #index (end: number): void {
    const stop = Math.min(end, this.#indexed + indexedAtOnce)
    while (this.#indexed < stop) {
      const place = ++this.#indexed
      if (place < shortestMatch) {
        this.#earlier[0] = this.#earlier[1] = 0
        continue
      }
      const pair = (this.#tokenAt(place - 2) as number) * tokenRange + (this.#tokenAt(place - 1) as number)
      this.#earlier[place] = this.#latest.get(pair) ?? 0
      this.#latest.set(pair, place)
    }
  }
}
