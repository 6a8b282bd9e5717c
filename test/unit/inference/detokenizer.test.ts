import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asToken, type Token } from '../../../src/domain/ids.ts'
import type { Tokenizer } from '../../../src/engine/engine.ts'
import { Detokenizer, TokenTexts } from '../../../src/inference/detokenizer.ts'

/** Token i is the i-th piece of bytes. */
function tokenizerOf (pieces: readonly Uint8Array[]): { tokenizer: Tokenizer, tokens: Token[] } {
  return {
    tokenizer: {
      tokenize: () => { throw new Error('not needed here') },
      tokenBytes: (token) => pieces[token] ?? new Uint8Array(),
      tokenText: (token) => Buffer.from(pieces[token] ?? []).toString()
    },
    tokens: pieces.map((_, index) => asToken(index))
  }
}

function cut (bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let start = 0
  for (const size of sizes) {
    pieces.push(bytes.subarray(start, start + size))
    start += size
  }
  return [...pieces, bytes.subarray(start)]
}

function textsOf (pieces: readonly Uint8Array[]): string[] {
  const { tokenizer, tokens } = tokenizerOf(pieces)
  const detokenizer = new Detokenizer(new TokenTexts(tokenizer))
  return tokens.map((token) => detokenizer.push(token))
}

describe('Detokenizer', () => {
  it('gives the text again, however its bytes are cut into tokens', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 30 }), fc.array(fc.nat(4)), (text, sizes) => {
      const wellFormed = text.toWellFormed()
      expect(textsOf(cut(Buffer.from(wellFormed), sizes)).join('')).toBe(wellFormed)
    }), { numRuns: 2000 })
  })

  it('never emits half a character', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (text) => {
      // U+FFFD is a character that a text may have, so the pieces are compared with the text's own characters.
      const pieces = textsOf([...Buffer.from(text)].map((byte) => Uint8Array.of(byte)))
      expect(pieces.filter((piece) => piece !== '')).toEqual([...text])
    }))
  })

  it('shows bytes that are no text as a decoder of the whole would', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), fc.array(fc.nat(3)), (bytes, sizes) => {
      // An incomplete character at the end waits for ever, so the comparison ends in a character of its own.
      const closed = Buffer.concat([bytes, Buffer.from('.')])
      expect(textsOf(cut(closed, sizes)).join('')).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(closed))
    }), { numRuns: 2000 })
  })

  it('keeps a byte order mark, which is a character like any other', () => {
    expect(textsOf([Buffer.from('\uFEFFa')]).join('')).toBe('\uFEFFa')
  })
})

describe('a detokenizer that shows control tokens', () => {
  it('gives their literals in their place, and ends a character that was under way', () => {
    const { tokenizer, tokens } = tokenizerOf([Buffer.from('a'), new Uint8Array(), Uint8Array.of(0xe2), new Uint8Array(), Buffer.from('b')])
    const detokenizer = new Detokenizer(new TokenTexts(tokenizer), new Map([[asToken(1), '<call>'], [asToken(3), '<end>']]))
    expect(tokens.map((token) => detokenizer.push(token))).toEqual(['a', '<call>', '', '\uFFFD<end>', 'b'])
  })
})
