export interface StopMatch {
  /** Text that can be emitted now. */
  readonly text: string
  /** The stop text that was completed; nothing may be pushed after it. Null while there is none. */
  readonly stopText: string | null
}

/**
 * Watches a stream of text for stop texts that may lie across any number of pieces. Text that may yet turn out to be the
 * beginning of a stop text is held back, so that no part of one is ever emitted. How the text is cut into pieces makes no
 * difference: the stop text that is completed first wins, and of those completed at the same character the longest.
 */
export class StopMatcher {
  readonly #stops: readonly string[]
  readonly #longest: number
  #held = ''

  constructor (stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '')
    this.#longest = Math.max(0, ...this.#stops.map((stop) => stop.length))
  }

  push (piece: string): StopMatch {
    if (this.#longest === 0) return { text: piece, stopText: null }
    const text = this.#held + piece
    const match = this.#firstCompleted(text)
    if (match !== null) {
      this.#held = ''
      return { text: text.slice(0, match.start), stopText: match.stop }
    }
    const heldLength = this.#possibleStart(text)
    this.#held = text.slice(text.length - heldLength)
    return { text: text.slice(0, text.length - heldLength), stopText: null }
  }

  /** The rest, when the stream ended without a stop text. */
  flush (): string {
    const text = this.#held
    this.#held = ''
    return text
  }

  #firstCompleted (text: string): { readonly start: number, readonly stop: string } | null {
    let found: { start: number, stop: string } | null = null
    let foundEnd = Infinity
    for (const stop of this.#stops) {
      const start = text.indexOf(stop)
      if (start === -1) continue
      const end = start + stop.length
      if (end < foundEnd || (end === foundEnd && found !== null && start < found.start)) {
        found = { start, stop }
        foundEnd = end
      }
    }
    return found
  }

  /** Length of the longest end of the text that is the beginning of a stop text. */
  #possibleStart (text: string): number {
    for (let length = Math.min(this.#longest - 1, text.length); length > 0; length--) {
      const end = text.slice(text.length - length)
      if (this.#stops.some((stop) => stop.startsWith(end))) return length
    }
    return 0
  }
}
