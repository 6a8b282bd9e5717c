/** Inclusive ranges of code points, in order, apart from each other. */
export type CodePoints = ReadonlyArray<readonly [number, number]>

/** Every code point that a text can hold: surrogates are none. */
export const allCodePoints: CodePoints = [[0, 0xd7ff], [0xe000, 0x10ffff]]

/** Puts ranges in order and joins those that touch; surrogates are left out. */
export function codePoints (ranges: Iterable<readonly [number, number]>): CodePoints {
  const sorted = [...ranges].filter(([first, last]) => first <= last).sort((a, b) => a[0] - b[0])
  const joined: [number, number][] = []
  for (const [first, last] of sorted) {
    const previous = joined.at(-1)
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else joined.push([first, last])
  }
  return intersectCodePoints(joined, allCodePoints)
}

export const codePointsOf = (text: string): CodePoints =>
  codePoints(Array.from(text, (character): [number, number] => [character.codePointAt(0)!, character.codePointAt(0)!]))

export function intersectCodePoints (a: CodePoints, b: CodePoints): CodePoints {
  const common: [number, number][] = []
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [firstA, lastA] = a[i]!
    const [firstB, lastB] = b[j]!
    const first = Math.max(firstA, firstB)
    const last = Math.min(lastA, lastB)
    if (first <= last) common.push([first, last])
    if (lastA < lastB) i++
    else j++
  }
  return common
}

/** All that a text can hold beside these. */
export function complementOf (ranges: CodePoints): CodePoints {
  const gaps: [number, number][] = []
  let next = 0
  for (const [first, last] of ranges) {
    if (first > next) gaps.push([next, first - 1])
    next = last + 1
  }
  gaps.push([next, 0x10ffff])
  return codePoints(gaps)
}

export const subtractCodePoints = (a: CodePoints, b: CodePoints): CodePoints => intersectCodePoints(a, complementOf(b))

export const hasCodePoint = (ranges: CodePoints, point: number): boolean =>
  ranges.some(([first, last]) => first <= point && point <= last)
