/** By the length of the match: 2 or 3 tokens, 4 to 7, 8 to 15, more. */
const classOf = (matchLength: number): number => Math.min(3, Math.max(0, Math.floor(Math.log2(matchLength)) - 1))

/** What is thought of a class before anything was seen, and how many observations that is worth. */
const expected: readonly number[] = [0.2, 0.4, 0.6, 0.8]
const expectedWeight = 4
/** How much observations count less with each newer one of their class. */
const fading = 0.98

/** How often guesses of one sequence are right, by how long the match is that they come from. */
export class Trust {
  readonly #right = expected.map((share) => share * expectedWeight)
  readonly #seen = expected.map(() => expectedWeight)

  observe (isRight: boolean, matchLength: number): void {
    const index = classOf(matchLength)
    this.#right[index] = (this.#right[index] as number) * fading + (isRight ? 1 : 0)
    this.#seen[index] = (this.#seen[index] as number) * fading + 1
  }

  /**
   * The chance, 0 to 1, that the next token is the one that a match of this length makes expect. Careful: as if the next one were
   * wrong. Many guesses in a row multiply what a lucky spell makes look too good, and each wrong one costs the time of all behind it.
   */
  chance (matchLength: number): number {
    const index = classOf(matchLength)
    return (this.#right[index] as number) / (this.#seen[index] as number + 1)
  }
}
