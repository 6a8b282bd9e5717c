import { describe, expect, it } from 'vitest'
import { RecentlyUsed } from '../../../src/domain/recently-used.ts'

describe('what was used recently', () => {
  it('is made once, and again when others were used since', () => {
    const made: string[] = []
    const kept = new RecentlyUsed<string>(2)
    const get = (key: string): string => kept.get(key, () => {
      made.push(key)
      return key.toUpperCase()
    })
    expect(['a', 'b', 'a', 'c', 'a', 'b'].map(get)).toEqual(['A', 'B', 'A', 'C', 'A', 'B'])
    expect(made).toEqual(['a', 'b', 'c', 'b'])
  })

  it('can be asked for and put without being made', () => {
    const kept = new RecentlyUsed<string>(2)
    expect(kept.known('a')).toBeUndefined()
    kept.put('a', 'A')
    kept.put('b', 'B')
    expect(kept.known('a')).toBe('A')
    kept.put('c', 'C')
    expect(['a', 'b', 'c'].map((key) => kept.known(key))).toEqual(['A', undefined, 'C'])
  })

  it('is not kept when it could not be made', () => {
    const kept = new RecentlyUsed<string>(2)
    expect(() => kept.get('a', () => { throw new Error('no') })).toThrow('no')
    expect(kept.get('a', () => 'A')).toBe('A')
  })
})
