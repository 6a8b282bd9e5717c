import type { Bound } from './schema-constraints.ts'

const any = (count: number): string => count === 0 ? '' : `\\d{${count}}`
const digitBetween = (first: number, last: number): string => first === last ? String(first) : `[${first}-${last}]`

/** Whole numbers from one to another, neither below nought, as a regular expression for their digits. */
export function integersBetween (least: number, most: number): string {
  const patterns: string[] = []
  for (let length = String(least).length; length <= String(most).length; length++) {
    const shortest = length === 1 ? 0 : 10 ** (length - 1)
    patterns.push(sameLength(String(Math.max(least, shortest)), String(Math.min(most, 10 ** length - 1))))
  }
  return patterns.join('|')
}

/** Digits that are, as a number, from one to another of the same length. */
function sameLength (least: string, most: string): string {
  if (least === most) return least
  const [low, high] = [Number(least[0]), Number(most[0])]
  const [lowRest, highRest] = [least.slice(1), most.slice(1)]
  if (low === high) return `${low}(?:${sameLength(lowRest, highRest)})`
  const beginsWithAll = /^0*$/.test(lowRest)
  const endsWithAll = /^9*$/.test(highRest)
  const [from, to] = [beginsWithAll ? low : low + 1, endsWithAll ? high : high - 1]
  return [
    ...(beginsWithAll ? [] : [`${low}(?:${sameLength(lowRest, '9'.repeat(lowRest.length))})`]),
    ...(from > to ? [] : [`${digitBetween(from, to)}${any(lowRest.length)}`]),
    ...(endsWithAll ? [] : [`${high}(?:${sameLength('0'.repeat(highRest.length), highRest)})`])
  ].join('|')
}

/** A number's digits before and behind the point, without noughts at the end. */
function digitsOf ({ value }: Bound): readonly [string, string] {
  const [whole = '0', fraction = ''] = String(value).split('.')
  return [whole, fraction]
}

const largest = 10 ** 15 - 1

/** Decimals without a sign that are not below a bound, which is not below nought. */
export function atLeast (bound: Bound): string {
  const [whole, fraction] = digitsOf(bound)
  const above = Number(whole) < largest ? [`(?:${integersBetween(Number(whole) + 1, largest)})(?:\\.\\d+)?`] : []
  return [...above, `${whole}${fractionAtLeast(fraction, bound.isExclusive)}`].join('|')
}

/** Decimals without a sign that are not above a bound, which is not below nought. */
export function atMost (bound: Bound): string {
  const [whole, fraction] = digitsOf(bound)
  const below = Number(whole) > 0 ? [`(?:${integersBetween(0, Number(whole) - 1)})(?:\\.\\d+)?`] : []
  const equal = fractionAtMost(fraction, bound.isExclusive)
  return [...below, ...(equal === null ? [] : [`${whole}${equal}`])].join('|')
}

function fractionAtLeast (fraction: string, isExclusive: boolean): string {
  if (fraction === '') return isExclusive ? '\\.0*[1-9]\\d*' : '(?:\\.\\d+)?'
  let pattern = isExclusive ? '0*[1-9]\\d*' : '\\d*'
  for (const digit of [...fraction].reverse()) {
    pattern = `(?:${digit}${pattern}${digit === '9' ? '' : `|${digitBetween(Number(digit) + 1, 9)}\\d*`})`
  }
  return `\\.${pattern}`
}

/** Null when there is none. */
function fractionAtMost (fraction: string, isExclusive: boolean): string | null {
  if (fraction === '') return isExclusive ? null : '(?:\\.0+)?'
  let pattern: string | null = null
  for (const [index, digit] of [...fraction].reverse().entries()) {
    const isLast = index === 0
    const ways = digit === '0' ? [] : [`${digitBetween(0, Number(digit) - 1)}\\d*`]
    if (isLast && !isExclusive) ways.push(`${digit}0*`)
    // The digits of the bound may also just end before the last one, which is not nought.
    if (!isLast) ways.push(pattern === null ? digit : `${digit}(?:${pattern})?`)
    pattern = ways.length === 0 ? null : `(?:${ways.join('|')})`
  }
  return `(?:\\.${pattern})?`
}
