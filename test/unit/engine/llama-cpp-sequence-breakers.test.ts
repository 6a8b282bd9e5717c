import { describe, expect, it } from 'vitest'
import { asToken } from '../../../src/domain/ids.ts'
import type { Tokenizer } from '../../../src/engine/engine.ts'
import { SequenceBreakers } from '../../../src/engine/llama-cpp/sequence-breakers.ts'

const texts = ['a', 'ab', 'b', 'c', 'bc', ' a', 'xabcx']
const tokenizer = {
  tokenText: (token: number) => texts[token] as string,
  tokenize: (text: string) => [...text].map((character) => asToken(texts.indexOf(character)))
} as unknown as Tokenizer

describe('sequence breakers', () => {
  it('are found in tokens that hold them, and where a token begins what others finish', () => {
    const tails = new SequenceBreakers(tokenizer, texts.length).tailsOf(['abc'])
    expect(Object.fromEntries(tails)).toEqual({ 0: [[2, 3]], 1: [[3]], 5: [[2, 3]], 6: [[]] })
  })

  it('add up, and lists that come again cost nothing', () => {
    const breakers = new SequenceBreakers(tokenizer, texts.length)
    const tails = breakers.tailsOf(['bc', 'c'])
    expect(Object.fromEntries(tails)).toEqual({ 1: [[3]], 2: [[3]], 3: [[]], 4: [[], []], 6: [[], []] })
    expect(breakers.tailsOf(['bc', 'c'])).toBe(tails)
  })
})
