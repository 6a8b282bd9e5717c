/** Something that is read from an answer while it comes; it pauses (`yield`) where it needs more text. */
export type Reading<Result> = Generator<undefined, Result, undefined>

type Take = (text: string) => void

const nothing: Take = () => {}

/**
 * An answer's text while it comes, for dialects written as if all of it were there. Nothing that is read depends on how
 * the text was cut into pieces: what may still become a marker is waited for, everything else is given on at once.
 */
export class AnswerReader {
  #text = ''
  #isEnded = false
  #recorded: string | null = null

  /** Half a character at the end of what came so far, which waits for its other half. */
  #half = ''

  push (text: string): void {
    const all = this.#half + text
    this.#half = /[\uD800-\uDBFF]$/.exec(all)?.[0] ?? ''
    this.#text += all.slice(0, all.length - this.#half.length)
  }

  end (): void {
    this.#text += this.#half
    this.#half = ''
    this.#isEnded = true
  }

  /** Consumes all that is there. */
  rest (): string {
    this.#text += this.#half
    this.#half = ''
    return this.#consume(this.#text.length)
  }

  /** Begins to note all that is consumed. */
  record (): void { this.#recorded = '' }

  /** Ends the noting. */
  recorded (): string {
    const recorded = this.#recorded ?? ''
    this.#recorded = null
    return recorded
  }

  /** The next character without consuming it; empty at the end of the answer. */
  * peek (): Reading<string> {
    while (this.#text === '' && !this.#isEnded) yield
    return this.#text.charAt(0)
  }

  /** Consumes the next character; empty at the end of the answer. */
  * next (): Reading<string> {
    const character = yield * this.peek()
    return this.#consume(character.length)
  }

  /** Consumes the marker if it comes next. */
  * skip (marker: string): Reading<boolean> {
    if (!(yield * this.comes(marker))) return false
    this.#consume(marker.length)
    return true
  }

  /** Whether the marker comes next. */
  * comes (marker: string): Reading<boolean> {
    while (true) {
      if (this.#text.startsWith(marker)) return true
      if (this.#isEnded || !marker.startsWith(this.#text)) return false
      yield
    }
  }

  /** Consumes characters as long as they match. */
  * while (pattern: RegExp, take: Take = nothing): Reading<void> {
    while (true) {
      let length = 0
      while (length < this.#text.length && pattern.test(this.#text.charAt(length))) length++
      if (length > 0) take(this.#consume(length))
      if (this.#text !== '' || this.#isEnded) return
      yield
    }
  }

  * space (): Reading<void> {
    yield * this.while(/\s/)
  }

  /**
   * Consumes text up to the first of the markers, and the marker; where several begin at the same place, the longest.
   * @returns the marker, or null when the answer ended without one
   */
  * until (markers: readonly string[], take: Take = nothing): Reading<string | null> {
    const marker = yield * this.upTo(markers, take)
    if (marker !== null) this.#consume(marker.length)
    return marker
  }

  /** Like {@link until}, but the marker is not consumed. */
  * upTo (markers: readonly string[], take: Take = nothing): Reading<string | null> {
    while (true) {
      const { at, marker } = this.#find(markers)
      if (at > 0) take(this.#consume(at))
      if (marker !== null || this.#isEnded) return marker
      yield
    }
  }

  /**
   * Consumes a JSON value. It is checked only as far as finding its end needs it: brackets match, and outside strings there
   * is nothing that JSON never has there.
   * @returns whether it was whole; where it is not, all before the first wrong character is consumed
   */
  * json (take: Take = nothing): Reading<boolean> {
    const first = yield * this.peek()
    if (/[-\w]/.test(first)) {
      yield * this.while(/[-+.\w]/, take)
      return true
    }
    if (!/["{[]/.test(first)) return false
    const closers: string[] = []
    let isInString = false
    let isEscaped = false
    while (true) {
      for (let at = 0; at < this.#text.length; at++) {
        const character = this.#text.charAt(at)
        if (isInString) {
          if (isEscaped) isEscaped = false
          else if (character === '\\') isEscaped = true
          else if (character === '"') isInString = false
        } else if (character === '"') {
          isInString = true
        } else if (character === '{') {
          closers.push('}')
        } else if (character === '[') {
          closers.push(']')
        } else if (character === '}' || character === ']' ? closers.pop() !== character : !/[\s:,\-+.\w]/.test(character)) {
          if (at > 0) take(this.#consume(at))
          return false
        }
        if (!isInString && closers.length === 0) {
          take(this.#consume(at + 1))
          return true
        }
      }
      if (this.#text !== '') take(this.#consume(this.#text.length))
      if (this.#isEnded) return false
      yield
    }
  }

  #consume (length: number): string {
    const text = this.#text.slice(0, length)
    this.#text = this.#text.slice(length)
    if (this.#recorded !== null) this.#recorded += text
    return text
  }

  /** How much text comes before the first marker or what may become one, and the marker once it is whole. */
  #find (markers: readonly string[]): { readonly at: number, readonly marker: string | null } {
    for (let at = 0; at < this.#text.length; at++) {
      let marker: string | null = null
      let mayBecome = false
      for (const candidate of markers) {
        if (candidate.charAt(0) !== this.#text.charAt(at)) continue
        if (this.#text.startsWith(candidate, at)) {
          if (marker === null || candidate.length > marker.length) marker = candidate
        } else if (!this.#isEnded && this.#text.length - at < candidate.length && candidate.startsWith(this.#text.slice(at))) {
          mayBecome = true
        }
      }
      if (mayBecome) return { at, marker: null }
      if (marker !== null) return { at, marker }
    }
    return { at: this.#text.length, marker: null }
  }
}
