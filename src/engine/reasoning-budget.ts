import { asToken, type Token } from '../domain/ids.ts'
import type { ReasoningLimit } from '../domain/sampling.ts'
import type { Tokenizer } from './engine.ts'

/**
 * Ends an answer's reasoning when it has had its tokens: then the tag that closes it comes next, whatever the model would say. All of it
 * follows from the answer so far, so that a draw depends on nothing else.
 */
export class ReasoningBudget {
  readonly #limit: ReasoningLimit
  readonly #tokenizer: Tokenizer
  readonly #closing: readonly Token[]
  readonly #open: string
  readonly #close: string
  /** Before the reasoning all of the answer, within it what may be a beginning of the tag that closes it; one character for each byte. */
  #text = ''
  #seen = 0
  #hasBegun: boolean
  #reasoningTokens = 0
  /** How much of the closing was drawn; null before it is due. */
  #closed: number | null = null
  #isOver = false

  constructor (limit: ReasoningLimit, tokenizer: Tokenizer) {
    this.#limit = limit
    this.#tokenizer = tokenizer
    // With line breaks around it as templates write it, unless the tokenizer adds something to them.
    const written = [`\n${limit.close}\n\n`, limit.close].map((text) => ({ text, tokens: tokenizer.tokenize(text, { special: true }) }))
    this.#closing = (written.find(({ text, tokens }) => tokens.map((token) => this.#textOf(token)).join('') === latin1(text)) ?? written[1])?.tokens ?? []
    this.#open = latin1(limit.open ?? '')
    this.#close = latin1(limit.close)
    this.#hasBegun = limit.open === null
    this.#decide()
  }

  /** How many tokens of the answer it has seen. */
  get seen (): number { return this.#seen }

  /** What has to be drawn next, if a grammar allows it; null where the draw is free. */
  get next (): Token | null {
    return this.#isOver || this.#closed === null ? null : this.#closing[this.#closed] ?? null
  }

  /** Takes the next token of the answer. */
  push (token: number): void {
    this.#seen++
    if (this.#isOver) return
    if (this.#closed !== null && token === this.#closing[this.#closed]) {
      this.#closed++
      this.#isOver = this.#closed >= this.#closing.length
      return
    }
    // A grammar may have had another wish.
    this.#closed = null
    this.#text += this.#textOf(asToken(token))
    if (this.#hasBegun) this.#reasoningTokens++
    else this.#begin()
    this.#decide()
  }

  /** Control tokens count by their literal. */
  #textOf (token: Token): string {
    const bytes = this.#tokenizer.tokenBytes(token)
    return Buffer.from(bytes.length > 0 ? bytes : this.#tokenizer.tokenText(token)).toString('latin1')
  }

  /** Answers that begin with something else have no reasoning. */
  #begin (): void {
    const said = this.#text.trimStart()
    this.#hasBegun = said.startsWith(this.#open)
    if (this.#hasBegun) this.#text = said.slice(this.#open.length)
    else this.#isOver = !this.#open.startsWith(said)
  }

  #decide (): void {
    if (!this.#hasBegun || this.#isOver) return
    if (this.#text.includes(this.#close)) this.#isOver = true
    else if (this.#reasoningTokens >= this.#limit.tokens && endsWhole(this.#text)) this.#closed = 0
    this.#text = this.#text.slice(-Math.max(this.#close.length - 1, longestCharacter))
  }
}

/** Bytes of a character in UTF-8. */
const longestCharacter = 4

/** Whether a text in UTF-8, a character for each byte, does not end within a character. */
function endsWhole (text: string): boolean {
  for (let back = 1; back <= Math.min(3, text.length); back++) {
    const byte = text.charCodeAt(text.length - back)
    if (byte >= 0xc0) return back >= (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2)
    if (byte < 0x80) return true
  }
  return true
}

const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
