const [openBracket, closeBracket, openBrace, closeBrace, comma, quote, backslash, lineFeed] = Buffer.from('[]{},"\\\n') as unknown as readonly [number, number, number, number, number, number, number, number]

/** One value of a larger file, not parsed yet. */
export interface JsonPiece {
  readonly text: string
  /** 1 for the first: of a list's entries, or of a file's lines, empty ones included. */
  readonly number: number
}

/**
 * Takes a JSON list apart, so that one of more bytes than a string may have (512 MiB in V8; ShareGPT's is larger) can be read. Only
 * strings and brackets are looked at: whether a piece is JSON is for `JSON.parse` to say.
 *
 * @param bytes UTF-8; the first one that is not white space is `[`.
 * @throws SyntaxError when the list is not closed, or something follows.
 */
export function * listPieces (bytes: Uint8Array): Generator<JsonPiece> {
  let depth = 0
  let isInString = false
  let start = 0
  let number = 0
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (isInString) {
      if (byte === backslash) index++
      else if (byte === quote) isInString = false
    } else if (byte === quote) {
      isInString = true
    } else if (byte === openBracket || byte === openBrace) {
      if (++depth === 1) start = index + 1
    } else if (byte === comma && depth === 1) {
      yield { text: textOf(bytes, start, index), number: ++number }
      start = index + 1
    } else if ((byte === closeBracket || byte === closeBrace) && --depth === 0) {
      const last = textOf(bytes, start, index)
      if (last.trim() !== '' || number > 0) yield { text: last, number: ++number }
      const rest = textOf(bytes, index + 1, Math.min(bytes.length, index + 1000)).trim()
      if (byte !== closeBracket || rest !== '') throw new SyntaxError('it does not end with the list')
      return
    }
  }
  throw new SyntaxError('the list is not closed')
}

/** The lines of a file that are not empty. */
export function * linePieces (bytes: Uint8Array): Generator<JsonPiece> {
  let number = 0
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(lineFeed, start)
    const end = found === -1 ? bytes.length : found
    const text = textOf(bytes, start, end).trim()
    number++
    if (text !== '') yield { text, number }
    start = end + 1
  }
}

const textOf = (bytes: Uint8Array, start: number, end: number): string => Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString()
