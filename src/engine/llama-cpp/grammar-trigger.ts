import { asToken, type Token } from '../../domain/ids.ts'
import type { Tokenizer } from '../engine.ts'

/** Where a grammar begins to count in an answer. */
export interface GrammarStart {
  /** Tokens whose text is what the grammar has to take before the answer's own tokens. */
  readonly lead: readonly Token[]
  /** The first of the answer's own tokens for the grammar. */
  readonly next: number
  /** How many tokens of the answer were drawn without the grammar. */
  readonly freeTokens: number
}

/**
 * Looks for the text from which a grammar counts. It may lie across any number of tokens, and begin within one: then the
 * part of that token from the text on is what the grammar gets first.
 */
export class GrammarTrigger {
  readonly #tokenizer: Tokenizer
  readonly #text: string
  /** The answer so far; one character for each byte. */
  #answer = ''
  /** Where each token begins in it. */
  readonly #offsets: number[] = []

  constructor (text: string, tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
    this.#text = Buffer.from(text).toString('latin1')
  }

  /** How many tokens it has seen. */
  get seen (): number { return this.#offsets.length }

  /**
   * Takes the next token of the answer.
   * @returns the start once the text is complete; `unreachable` where the part of a token cannot be written with tokens
   */
  push (token: number): GrammarStart | 'unreachable' | null {
    const from = Math.max(0, this.#answer.length - this.#text.length + 1)
    this.#offsets.push(this.#answer.length)
    this.#answer += this.#bytesOf(asToken(token)).toString('latin1')
    const at = this.#answer.indexOf(this.#text, from)
    if (at === -1) return null
    const first = this.#offsets.findLastIndex((offset) => offset <= at)
    const offset = this.#offsets[first] as number
    if (offset === at) return { lead: [], next: first, freeTokens: this.seen }
    const part = this.#answer.slice(at, this.#offsets[first + 1] ?? this.#answer.length)
    const lead = this.#tokenizer.tokenize(Buffer.from(part, 'latin1').toString(), { special: false })
    const isExact = Buffer.concat(lead.map((each) => this.#bytesOf(each))).toString('latin1') === part
    return isExact ? { lead, next: first + 1, freeTokens: this.seen } : 'unreachable'
  }

  /** Control tokens count by their literal, as they do in a grammar. */
  #bytesOf (token: Token): Buffer {
    const bytes = this.#tokenizer.tokenBytes(token)
    return Buffer.from(bytes.length > 0 ? bytes : this.#tokenizer.tokenText(token))
  }
}
