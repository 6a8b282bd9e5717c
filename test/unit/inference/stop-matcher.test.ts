import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StopMatcher } from '../../../src/inference/stop-matcher.ts'

/** Feeds pieces until a stop text is found; then nothing more is fed, as in production. */
function run (stops: readonly string[], pieces: readonly string[]): { text: string, stopText: string | null } {
  const matcher = new StopMatcher(stops)
  let text = ''
  for (const piece of pieces) {
    const match = matcher.push(piece)
    text += match.text
    if (match.stopText !== null) return { text, stopText: match.stopText }
  }
  return { text: text + matcher.flush(), stopText: null }
}

/** What the definition says, looking at the whole text: the stop text completed first, the longest of equals. */
function reference (stops: readonly string[], text: string): { text: string, stopText: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const completed = stops.filter((stop) => stop !== '' && text.slice(0, end).endsWith(stop))
    const stopText = completed.sort((a, b) => b.length - a.length)[0]
    if (stopText !== undefined) return { text: text.slice(0, end - stopText.length), stopText }
  }
  return { text, stopText: null }
}

// A small alphabet makes overlaps and near misses likely.
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é', '\n'), maxLength: 40 })
const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é', '\n'), maxLength: 5 }), { maxLength: 4 })

/** All ways of cutting a text are as good as each other. */
const cut = (whole: string, sizes: readonly number[]): string[] => {
  const pieces: string[] = []
  let start = 0
  for (const size of sizes) {
    pieces.push(whole.slice(start, start + size))
    start += size
  }
  return [...pieces, whole.slice(start)]
}

describe('StopMatcher', () => {
  it('finds what the whole text has, however it is cut into pieces', () => {
    fc.assert(fc.property(stops, text, fc.array(fc.nat(6), { maxLength: 20 }), (stops, whole, sizes) => {
      expect(run(stops, cut(whole, sizes))).toEqual(reference(stops, whole))
    }), { numRuns: 5000 })
  })

  it('holds back no more than could become a stop text', () => {
    fc.assert(fc.property(stops, text, (stops, whole) => {
      const matcher = new StopMatcher(stops)
      let emitted = ''
      for (const character of whole) {
        const match = matcher.push(character)
        emitted += match.text
        if (match.stopText !== null) return
      }
      const held = whole.slice(emitted.length)
      expect(held === '' || stops.some((stop) => stop.length > held.length && stop.startsWith(held))).toBe(true)
    }), { numRuns: 2000 })
  })

  it('passes text through when there is nothing to stop at', () => {
    expect(run([], ['a', '', 'b'])).toEqual({ text: 'ab', stopText: null })
  })
})
