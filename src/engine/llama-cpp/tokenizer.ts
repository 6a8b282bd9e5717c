import { asToken } from '../../domain/ids.ts'
import type { Token } from '../../domain/ids.ts'
import type { Tokenizer } from '../engine.ts'
import type { NativeModel } from './native.ts'
import { tokenAttribute, tokenBytes } from './token-bytes.ts'
import type { VocabularyStyle } from './token-bytes.ts'

/** The model's own tokenizer, with the bytes of every token kept after their first use. */
export class LlamaCppTokenizer implements Tokenizer {
  readonly #model: NativeModel
  readonly #style: VocabularyStyle
  readonly #vocabularySize: number
  readonly #bytes: (Uint8Array | undefined)[]
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })

  constructor (model: NativeModel, style: VocabularyStyle, vocabularySize: number) {
    this.#model = model
    this.#style = style
    this.#vocabularySize = vocabularySize
    this.#bytes = new Array<Uint8Array | undefined>(vocabularySize)
  }

  tokenize (text: string, { special }: { readonly special: boolean }): Token[] {
    if (text === '') return []
    return Array.from(this.#model.tokenize(text, special), asToken)
  }

  tokenBytes (token: Token): Uint8Array {
    this.#check(token)
    return (this.#bytes[token] ??= tokenBytes(
      this.#model.getTokenString(token) ?? '', this.#model.getTokenAttributes(token), this.#style
    ))
  }

  tokenText (token: Token): string {
    this.#check(token)
    const isLiteral = tokenAttribute.control | tokenAttribute.unknown | tokenAttribute.userDefined
    if ((this.#model.getTokenAttributes(token) & isLiteral) !== 0) return this.#model.getTokenString(token) ?? ''
    return this.#decoder.decode(this.tokenBytes(token))
  }

  /** llama.cpp reads outside its table for a token that it does not have. */
  #check (token: number): void {
    if (!Number.isInteger(token) || token < 0 || token >= this.#vocabularySize) {
      throw new RangeError(`token ${token} is outside the vocabulary of ${this.#vocabularySize} tokens`)
    }
  }
}
