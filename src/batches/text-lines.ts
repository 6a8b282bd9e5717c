/** A line without its end, and its 1-based number. */
export interface TextLine {
  readonly number: number
  readonly text: string
}

/** What no line may be longer than, and one was. */
export class LineTooLongError extends Error {
  readonly number: number

  constructor (number: number) {
    super(`Line ${number} is too long`)
    this.name = 'LineTooLongError'
    this.number = number
  }
}

/**
 * The lines of a text that comes in pieces. Ends of lines are `\n` or `\r\n`; what follows the last one is a line unless it is empty. A byte order
 * mark at the beginning is none of the first line.
 *
 * @param longest in characters; no more than that and a piece are in memory
 * @throws LineTooLongError
 */
export async function * readLines (pieces: AsyncIterable<string>, longest: number): AsyncGenerator<TextLine> {
  let number = 0
  let rest = ''
  let isFirst = true
  const toLine = (text: string): TextLine => {
    number++
    if (text.length > longest) throw new LineTooLongError(number)
    return { number, text: text.endsWith('\r') ? text.slice(0, -1) : text }
  }
  for await (const piece of pieces) {
    if (piece === '') continue
    const text = isFirst && piece.startsWith('\uFEFF') ? piece.slice(1) : piece
    isFirst = false
    let from = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      yield toLine(rest + text.slice(from, end))
      rest = ''
      from = end + 1
    }
    rest += text.slice(from)
    if (rest.length > longest) throw new LineTooLongError(number + 1)
  }
  if (rest !== '') yield toLine(rest)
}
