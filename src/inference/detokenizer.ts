import { TextDecoder } from 'node:util'
import type { Token } from '../domain/ids.ts'
import type { Tokenizer } from '../engine/engine.ts'

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Token texts of one model, decoded once. Most tokens are whole characters and need no decoder while streaming; for the
 * others, which are part of a character, the text is null.
 */
export class TokenTexts {
  readonly #tokenizer: Tokenizer
  readonly #texts = new Map<Token, string | null>()

  constructor (tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  bytesOf (token: Token): Uint8Array {
    return this.#tokenizer.tokenBytes(token)
  }

  /** The token's text when its bytes are whole characters, else null. */
  textOf (token: Token): string | null {
    const known = this.#texts.get(token)
    if (known !== undefined) return known
    let text: string | null
    try {
      text = strictDecoder.decode(this.#tokenizer.tokenBytes(token))
    } catch {
      text = null
    }
    this.#texts.set(token, text)
    return text
  }
}

const noTokens: ReadonlyMap<Token, string> = new Map()

/**
 * Turns one sequence's tokens into text as they come. Never emits half a character: bytes wait until their character is
 * whole. Bytes that can belong to no character become U+FFFD, as a decoder of the whole text would have it; an incomplete
 * character at the end of the sequence is never emitted.
 */
export class Detokenizer {
  readonly #texts: TokenTexts
  readonly #shown: ReadonlyMap<Token, string>
  /** Exists while bytes of an incomplete character wait in it. */
  #decoder: TextDecoder | null = null

  /** @param shown control tokens that are part of the text, with their literals */
  constructor (texts: TokenTexts, shown: ReadonlyMap<Token, string> = noTokens) {
    this.#texts = texts
    this.#shown = shown
  }

  /** The text that this token completes; may be empty. */
  push (token: Token): string {
    const literal = this.#shown.size === 0 ? undefined : this.#shown.get(token)
    if (literal !== undefined) {
      const broken = this.#decoder?.decode() ?? ''
      this.#decoder = null
      return broken + literal
    }
    if (this.#decoder === null) {
      const text = this.#texts.textOf(token)
      if (text !== null) return text
      this.#decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    }
    const bytes = this.#texts.bytesOf(token)
    const text = this.#decoder.decode(bytes, { stream: true })
    if (endsCharacter(bytes)) this.#decoder = null
    return text
  }
}

/** Whether a decoder that was fed these bytes last holds none back: they end in a one-byte (ASCII) character. */
function endsCharacter (bytes: Uint8Array): boolean {
  const last = bytes.at(-1)
  return last !== undefined && last < 0x80
}
