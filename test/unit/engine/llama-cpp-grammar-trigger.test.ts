import { describe, expect, it } from 'vitest'
import { asToken, type Token } from '../../../src/domain/ids.ts'
import type { Tokenizer } from '../../../src/engine/engine.ts'
import { GrammarTrigger, type GrammarStart } from '../../../src/engine/llama-cpp/grammar-trigger.ts'

/** Token i is the i-th piece; `<call>` is a control token. A text is tokenized by its longest pieces, what has none is left out. */
const pieces = ['a', '<', 'b<t', 'o>', 'o>{"', '<to>', '{', 'é', '<call>', '"', 't']
const tokenizer: Tokenizer = {
  tokenize: (text) => {
    const tokens: Token[] = []
    for (let at = 0; at < text.length;) {
      const found = pieces.filter((piece) => piece !== '<call>' && text.startsWith(piece, at)).sort((a, b) => b.length - a.length)[0]
      if (found !== undefined) tokens.push(asToken(pieces.indexOf(found)))
      at += found?.length ?? 1
    }
    return tokens
  },
  tokenBytes: (token) => Buffer.from(pieces[token] === '<call>' ? '' : pieces[token] ?? ''),
  tokenText: (token) => pieces[token] ?? ''
}

const startOf = (trigger: string, answer: readonly string[]): GrammarStart | 'unreachable' | null => {
  const watch = new GrammarTrigger(trigger, tokenizer)
  for (const piece of answer) {
    const found = watch.push(pieces.indexOf(piece))
    if (found !== null) return found
  }
  return null
}
const token = (piece: string): Token => asToken(pieces.indexOf(piece))

describe('the place from which a grammar counts', () => {
  it('is at the token that begins with the text', () => {
    expect(startOf('<to>', ['a', '<to>', '{'])).toEqual({ lead: [], next: 1, freeTokens: 2 })
    expect(startOf('<to>', ['é', '<', 't', 'o>'])).toEqual({ lead: [], next: 1, freeTokens: 4 })
  })

  it('is within a token, whose part from there on comes first', () => {
    expect(startOf('<to>', ['a', 'b<t', 'o>'])).toEqual({ lead: [token('<'), token('t')], next: 2, freeTokens: 3 })
  })

  it('counts what a token holds beyond the text as drawn', () => {
    expect(startOf('<to>', ['b<t', 'o>{"', 'a'])).toEqual({ lead: [token('<'), token('t')], next: 1, freeTokens: 2 })
  })

  it('may be a control token', () => {
    expect(startOf('<call>', ['a', '<call>'])).toEqual({ lead: [], next: 1, freeTokens: 2 })
  })

  it('may begin with a character of several bytes', () => {
    expect(startOf('é', ['a', 'é'])).toEqual({ lead: [], next: 1, freeTokens: 2 })
  })

  it('is nowhere without the text', () => {
    expect(startOf('<to>', ['<', 'a', 't', 'o>', '<', 't'])).toBe(null)
  })

  it('cannot be reached where no tokens have the part of a token', () => {
    const poor: Tokenizer = { ...tokenizer, tokenize: () => [token('a')] }
    const watch = new GrammarTrigger('<to>', poor)
    expect([watch.push(pieces.indexOf('b<t')), watch.push(pieces.indexOf('o>'))]).toEqual([null, 'unreachable'])
  })
})
