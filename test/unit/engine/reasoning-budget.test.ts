import { describe, expect, it } from 'vitest'
import { asToken, type Token } from '../../../src/domain/ids.ts'
import type { ReasoningLimit } from '../../../src/domain/sampling.ts'
import { ReasoningBudget } from '../../../src/engine/reasoning-budget.ts'
import type { Tokenizer } from '../../../src/engine/engine.ts'

/** Each piece is a token; those in angle brackets are control tokens. A text is tokenized by its longest pieces. */
const pieces = ['<think>', '</think>', '\n', '\n\n', 'a', 'b</', 'think', '>', '<', '</', 'é']
const tokenize = (text: string): Token[] => {
  const tokens: Token[] = []
  for (let at = 0; at < text.length;) {
    const found = pieces.filter((piece) => text.startsWith(piece, at)).sort((a, b) => b.length - a.length)[0] ?? ''
    tokens.push(asToken(pieces.indexOf(found)))
    at += Math.max(1, found.length)
  }
  return tokens
}
const tokenizer: Tokenizer = {
  tokenize,
  tokenBytes: (token) => Buffer.from(/^<.*>$/.test(pieces[token] ?? '') ? '' : pieces[token] ?? ''),
  tokenText: (token) => pieces[token] ?? ''
}

/** An answer of a model that says these pieces, and `a` when it has no more. */
function answerOf (limit: ReasoningLimit, model: readonly string[], count: number, of: Tokenizer = tokenizer): string {
  const budget = new ReasoningBudget(limit, of)
  const said: string[] = []
  const left = [...model]
  while (said.length < count) {
    const piece = budget.next === null ? left.shift() ?? 'a' : `[${pieces[budget.next]}]`
    said.push(piece)
    budget.push(pieces.indexOf(piece.replace(/^\[|\]$/g, '')))
    expect(budget.seen).toBe(said.length)
  }
  return said.join(' ')
}

const opened: ReasoningLimit = { tokens: 3, open: null, close: '</think>' }
const closing = '[\n] [</think>] [\n\n]'

describe('a budget of reasoning', () => {
  it('closes reasoning that the prompt has opened, once', () => {
    expect(answerOf(opened, [], 9)).toBe(`a a a ${closing} a a a`)
    expect(answerOf({ ...opened, tokens: 0 }, ['a', 'é'], 5)).toBe(`${closing} a é`)
  })

  it('closes reasoning that the answer begins with, counted from there', () => {
    const limit = { ...opened, open: '<think>' }
    expect(answerOf(limit, ['\n', '<think>'], 9)).toBe(`\n <think> a a a ${closing} a`)
    expect(answerOf({ ...limit, tokens: 0 }, ['<think>'], 5)).toBe(`<think> ${closing} a`)
    expect(answerOf({ ...limit, open: '</think>' }, ['b</'], 12)).not.toContain('[')
  })

  it('leaves answers alone that do not reason', () => {
    expect(answerOf({ ...opened, open: '<think>' }, ['a', '<think>'], 8)).not.toContain('[')
    expect(answerOf({ ...opened, open: '<think>' }, ['<', 'a'], 8)).not.toContain('[')
  })

  it('reads long reasoning once', () => {
    // Looking through all of it for each token would take minutes.
    const budget = new ReasoningBudget({ ...opened, tokens: 1_000_000 }, tokenizer)
    for (let index = 0; index < 400_000; index++) budget.push(pieces.indexOf('think'))
    for (const piece of ['</', 'think', '>']) budget.push(pieces.indexOf(piece))
    for (let index = 0; index < 700_000; index++) budget.push(pieces.indexOf('a'))
    expect(budget.next).toBeNull()
  })

  it('leaves reasoning alone that has closed itself, in however many tokens', () => {
    expect(answerOf(opened, ['a', '</think>'], 8)).not.toContain('[')
    expect(answerOf({ ...opened, tokens: 4 }, ['b</', 'think', '>'], 8)).not.toContain('[')
    // Too late.
    expect(answerOf(opened, ['a', 'b</', 'think'], 6)).toBe(`a b</ think ${closing}`)
  })

  it('waits for the end of a character, and where something else is drawn all the same', () => {
    const budget = new ReasoningBudget({ ...opened, tokens: 1 }, {
      ...tokenizer, tokenBytes: (token) => token >= 100 ? Uint8Array.of(...[[0xc3], [0xa9], [0xf0, 0x9f], [0x8c, 0x8a], [0x80]][token - 100] ?? []) : tokenizer.tokenBytes(token)
    })
    const nextAfter = (token: number): string | undefined => {
      budget.push(token)
      return budget.next === null ? undefined : pieces[budget.next]
    }
    expect([100, 101].map(nextAfter)).toEqual([undefined, '\n'])
    expect([102, 103].map(nextAfter)).toEqual([undefined, '\n'])
    expect([100, 102, 104, 104, 104].map(nextAfter)).toEqual([undefined, undefined, undefined, '\n', '\n'])
    expect([pieces.indexOf('\n'), pieces.indexOf('a'), pieces.indexOf('</think>')].map(nextAfter)).toEqual(['</think>', '\n', undefined])
  })

  it('writes the tag alone where the tokenizer would add something', () => {
    const adding: Tokenizer = { ...tokenizer, tokenize: (text) => text.startsWith('\n') ? tokenize(`a${text}`) : tokenize(text) }
    expect(answerOf(opened, [], 6, adding)).toBe('a a a [</think>] a a')
  })
})
