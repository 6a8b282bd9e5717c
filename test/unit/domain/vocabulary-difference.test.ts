import { describe, expect, it } from 'vitest'
import { vocabularyDifference } from '../../../src/domain/vocabulary-difference.ts'

const tokens = (count: number): string[] => Array.from({ length: count }, (_, token) => `token ${token}`)

describe('vocabularyDifference', () => {
  it('finds none between equal ones, nor where one has some more at the end', () => {
    expect(vocabularyDifference(tokens(1000), tokens(1000))).toBeNull()
    expect(vocabularyDifference(tokens(1000), tokens(1128))).toBeNull()
    expect(vocabularyDifference(tokens(1128), tokens(1000))).toBeNull()
  })

  it('says how many tokens there are where there are many more', () => {
    expect(vocabularyDifference(tokens(1000), tokens(1129))).toBe("vocabulary has 1000 tokens, the model's has 1129")
  })

  it('says which token is another', () => {
    const other = tokens(1000)
    other[17] = '\n'
    expect(vocabularyDifference(other, tokens(1000))).toBe('token 17 is "\\n", the model\'s is "token 17"')
  })
})
