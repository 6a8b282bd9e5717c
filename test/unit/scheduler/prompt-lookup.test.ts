import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asToken, type Token } from '../../../src/domain/ids.ts'
import { PromptLookup } from '../../../src/scheduler/policies/prompt-lookup.ts'

const tokensOf = (text: string): Token[] => Array.from(text, (letter) => asToken(letter.charCodeAt(0)))
const textOf = (tokens: readonly Token[]): string => tokens.map((token) => String.fromCharCode(token)).join('')
const nothing: ReadonlySet<Token> = new Set()

/** What is guessed after a text, letters being tokens. */
function guessAfter (text: string, count = 5, without = nothing): string {
  const lookup = new PromptLookup(tokensOf(text), () => {})
  lookup.follow()
  return textOf(lookup.guesses(count, without))
}

describe('PromptLookup', () => {
  it('goes on as the text went on where it said the same before', () => {
    expect(guessAfter('the cat sat. the c')).toBe('at sa')
    expect(guessAfter('abcdef abc', 3)).toBe('def')
  })

  it('takes no single token for a repetition', () => {
    expect(guessAfter('abcdef a')).toBe('')
    expect(guessAfter('')).toBe('')
    expect(guessAfter('a')).toBe('')
  })

  it('goes by the longest of the latest matches, and by the latest of equal ones', () => {
    expect(guessAfter('xyz1 ayz2 xyz', 1)).toBe('1')
    expect(guessAfter('yz1 yz2 yz', 1)).toBe('2')
  })

  it('lets a repetition that reaches the end go on with itself', () => {
    expect(guessAfter('aaa', 4)).toBe('aaaa')
    expect(guessAfter('xababab', 5)).toBe('ababa')
  })

  it('guesses nothing that it is told not to, nor anything behind it', () => {
    expect(guessAfter('abcd.ef abc', 5, new Set(tokensOf('.')))).toBe('d')
    expect(guessAfter('abc.ef abc', 5, new Set(tokensOf('.')))).toBe('')
  })

  it('compares what is appended with what it expected', () => {
    const tokens = tokensOf('one two. one')
    const heard: string[] = []
    const lookup = new PromptLookup(tokens, (isRight, length) => heard.push(`${isRight ? 'right' : 'wrong'} ${length}`))
    lookup.follow()
    expect(lookup.matchLength).toBe(3)
    tokens.push(...tokensOf(' tw'))
    lookup.follow()
    tokens.push(...tokensOf('ig'))
    lookup.follow()
    expect(heard).toEqual(['right 3', 'right 4', 'right 5', 'wrong 6'])
    expect(lookup.matchLength).toBe(0)
  })

  it('expects an answer to begin as its prediction does, and to go on with it wherever it comes back to it', () => {
    const guessesOf = (prompt: string, answer: string, prediction: string): string => {
      const tokens = tokensOf(`${prompt}${answer}`)
      const lookup = new PromptLookup(tokens, () => {}, { tokens: tokensOf(prediction), drawn: answer.length })
      lookup.follow()
      return textOf(lookup.guesses(5, nothing))
    }
    expect(guessesOf('q: ', '', 'hello world')).toBe('hello')
    expect(guessesOf('q: ', 'he', 'hello world')).toBe('llo w')
    expect(guessesOf('q: ', 'ho', 'hello world')).toBe('')
    expect(guessesOf('q: ', 'howo', 'hello world')).toBe('rldq:')
    // The end of the prompt is no beginning of the answer.
    expect(guessesOf('q: he', '', 'hello world')).toBe('hello')
    expect(guessesOf('q: ', 'hello', 'hello')).toBe('q: he')
  })

  it('says how many of its guesses are the prediction\'s, whose they are where the prompt says the same', () => {
    const predictedOf = (prompt: string, answer: string, prediction: string): number => {
      const lookup = new PromptLookup(tokensOf(`${prompt}${answer}`), () => {}, { tokens: tokensOf(prediction), drawn: answer.length })
      lookup.follow()
      return lookup.predictedAhead
    }
    expect(predictedOf('q: ', 'he', 'hello')).toBe(3)
    expect(predictedOf('q: ', 'hello', 'hello')).toBe(0)
    expect(predictedOf('q: ', 'no', 'hello')).toBe(0)
    expect(predictedOf('q: hello world ', 'xwo', 'hello world')).toBe(3)
    expect(predictedOf('q: brave world ', 'xwo', 'hello')).toBe(0)
  })

  it('compares what is drawn with its prediction', () => {
    const tokens = tokensOf('q: ')
    const heard: boolean[] = []
    const lookup = new PromptLookup(tokens, (isRight) => heard.push(isRight), { tokens: tokensOf('hello'), drawn: 0 })
    lookup.follow()
    tokens.push(...tokensOf('hex'))
    lookup.follow()
    expect(heard).toEqual([true, true, false])
    expect(lookup.matchLength).toBe(0)
  })

  it('reads a long prompt over several calls', () => {
    const tokens = Array.from({ length: 9000 }, (_, index) => asToken(index))
    tokens.push(asToken(4000), asToken(4001))
    const lookup = new PromptLookup(tokens, () => {})
    let calls = 0
    do {
      lookup.follow()
      calls++
    } while (lookup.matchLength === 0 && calls < 100)
    expect(calls).toBe(5)
    expect(lookup.guesses(2, nothing)).toEqual([4002, 4003])
  })

  const letters = fc.array(fc.integer({ min: 0, max: 3 }).map(asToken), { minLength: 1, maxLength: 60 })

  it('finds a repetition of two tokens or more exactly when there is one', () => {
    fc.assert(fc.property(letters, (tokens) => {
      const lookup = new PromptLookup(tokens, () => {})
      lookup.follow()
      const endsLike = (place: number): boolean =>
        place >= 2 && tokens[place - 1] === tokens.at(-1) && tokens[place - 2] === tokens.at(-2)
      const next = tokens.filter((_, place) => endsLike(place))
      expect(lookup.matchLength > 0).toBe(next.length > 0)
      const guesses = lookup.guesses(1, nothing)
      expect(guesses).toHaveLength(Math.min(1, next.length))
      if (next.length > 0) expect(next).toContain(guesses[0])
    }), { numRuns: 1000 })
  })

  it('comes to the same whether tokens come one by one or in bursts', () => {
    fc.assert(fc.property(letters, fc.array(letters, { maxLength: 10 }), (prompt, bursts) => {
      const [one, other] = [[...prompt], [...prompt]]
      const heard: [string[], string[]] = [[], []]
      const create = (tokens: Token[], index: 0 | 1): PromptLookup =>
        new PromptLookup(tokens, (isRight, length) => heard[index].push(`${isRight} ${length}`))
      const [single, many] = [create(one, 0), create(other, 1)]
      single.follow()
      many.follow()
      for (const burst of bursts) {
        for (const token of burst) {
          one.push(token)
          single.follow()
        }
        other.push(...burst)
        many.follow()
        expect(many.guesses(8, nothing)).toEqual(single.guesses(8, nothing))
        expect(many.matchLength).toBe(single.matchLength)
      }
      expect(heard[1]).toEqual(heard[0])
    }))
  })
})
