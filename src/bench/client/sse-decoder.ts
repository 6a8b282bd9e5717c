import { StringDecoder } from 'node:string_decoder'

/** In UTF-16 units, 32 MiB at most; no chunk of an answer comes near. */
export const longestEventLength = 16 * 1024 * 1024

const lineFeed = 10
const byteOrderMark = 0xfeff

/**
 * Splits the bytes of a `text/event-stream` into the data of its events, after the WHATWG's rules: lines end with LF, CRLF or CR.
 * Comments, event names and ids are of no use here and left out. Every character is searched once, however the bytes are parted.
 */
export class SseDecoder {
  readonly #decoder = new StringDecoder('utf8')
  readonly #onData: (data: string) => void
  /** The beginning of a line whose end has not come. */
  #rest = ''
  #data: string | null = null
  #isAtStart = true
  /** Whether the last character was a CR: an LF after it ends no line of its own. */
  #isAfterReturn = false

  constructor (onData: (data: string) => void) {
    this.#onData = onData
  }

  /** @throws RangeError for a line, or an event of many lines, that does not end. */
  push (bytes: Buffer): void { this.#take(this.#decoder.write(bytes)) }

  /** The stream is over. An event without its blank line is taken like the others; whether it is whole is for its reader to see. */
  end (): void {
    this.#take(this.#decoder.end())
    if (this.#rest !== '') this.#line(this.#rest)
    this.#line('')
  }

  #take (text: string): void {
    if (text === '') return
    let start = 0
    if (this.#isAtStart && text.charCodeAt(0) === byteOrderMark) start = 1
    this.#isAtStart = false
    if (this.#isAfterReturn && text.charCodeAt(0) === lineFeed) start = 1
    this.#isAfterReturn = false
    let feed = text.indexOf('\n', start)
    let carriage = text.indexOf('\r', start)
    while (feed !== -1 || carriage !== -1) {
      const isReturn = feed === -1 || (carriage !== -1 && carriage < feed)
      const end = isReturn ? carriage : feed
      this.#line(this.#rest + text.slice(start, end))
      this.#rest = ''
      start = end + 1
      if (isReturn && feed === start) start++
      else if (isReturn && start === text.length) this.#isAfterReturn = true
      if (feed !== -1 && feed < start) feed = text.indexOf('\n', start)
      if (isReturn) carriage = text.indexOf('\r', start)
    }
    this.#rest += text.slice(start)
    if (this.#rest.length + (this.#data?.length ?? 0) > longestEventLength) {
      throw new RangeError(`An event of the stream has more than ${longestEventLength / 1024 / 1024} Mi characters and no end`)
    }
  }

  #line (line: string): void {
    if (line === '') {
      const data = this.#data
      this.#data = null
      if (data !== null) this.#onData(data)
    } else if (line.startsWith('data:')) {
      const value = line.slice(line.charCodeAt(5) === 32 ? 6 : 5)
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`
    }
  }
}
