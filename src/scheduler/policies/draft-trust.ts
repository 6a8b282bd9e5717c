/** What is thought of a draft model before it made any guess, and how many guesses that is worth. */
const expected = 0.7
const expectedWeight = 4
/** How much what was seen counts less with each newer guess. */
const fading = 0.97
/** And with each step in which guesses were not asked for: what was poor is tried again, after some hundred steps. */
const forgetting = 0.995

/**
 * How often a draft model's guesses are right for one sequence, or for all of a lane's, which is what is expected of a new one. Other
 * than with prompt lookup this is only known where guesses were made.
 */
export class DraftTrust {
  readonly #ofAll: DraftTrust | null
  #right = 0
  #seen = 0

  constructor (ofAll: DraftTrust | null = null) {
    this.#ofAll = ofAll
  }

  /** Of some guesses in a row the first `right` were; the next one was wrong if there were more. */
  observe (guesses: number, right: number): void {
    this.#ofAll?.observe(guesses, right)
    for (let guess = 0; guess < Math.min(guesses, right + 1); guess++) {
      this.#right = this.#right * fading + (guess < right ? 1 : 0)
      this.#seen = this.#seen * fading + 1
    }
  }

  /** There was a step without. */
  passOver (): void {
    this.#right *= forgetting
    this.#seen *= forgetting
  }

  /** The chance, 0 to 1, that a guess is right if those before it were; for a sequence careful, as if the next one were wrong. */
  get chance (): number {
    const before = this.#ofAll?.chance ?? expected
    return (this.#right + before * expectedWeight) / (this.#seen + expectedWeight + (this.#ofAll === null ? 0 : 1))
  }
}
