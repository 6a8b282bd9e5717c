import { StringDecoder } from 'node:string_decoder'

/**
 * Splits the bytes of a `text/event-stream` into the data of its events, after the WHATWG's rules for LF and CRLF line ends.
 * Comments, event names and ids are of no use here and left out.
 */
export class SseDecoder {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onData: (data: string) => void
  /** The beginning of a line whose end has not come. */
  #rest = ''
  #data: string | null = null

  constructor (onData: (data: string) => void) {
    this.#onData = onData
  }

  push (bytes: Buffer): void {
    const text = this.#rest + this.#decoder.write(bytes)
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start)
      if (end === -1) break
      this.#line(text.charCodeAt(end - 1) === 13 && end > start ? text.slice(start, end - 1) : text.slice(start, end))
      start = end + 1
    }
    this.#rest = text.slice(start)
  }

  #line (line: string): void {
    if (line === '') {
      if (this.#data !== null) this.#onData(this.#data)
      this.#data = null
    } else if (line.startsWith('data:')) {
      const value = line.slice(line.charCodeAt(5) === 32 ? 6 : 5)
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`
    }
  }
}
