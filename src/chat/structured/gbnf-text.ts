import type { CodePoints } from './code-points.ts'

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0')

function escapeInClass (point: number): string {
  if (point < 0x20 || (point >= 0x7f && point <= 0xff)) return `\\x${hex(point, 2)}`
  if (point > 0xffff) return `\\U${hex(point, 8)}`
  if (point > 0x7f) return `\\u${hex(point, 4)}`
  const character = String.fromCharCode(point)
  // GBNF knows few escapes; a caret or a hyphen in the wrong place means something else.
  return '\\]['.includes(character) ? `\\${character}` : '^-"'.includes(character) ? `\\x${hex(point, 2)}` : character
}

/** A character class that matches one of these code points. */
export const gbnfClass = (ranges: CodePoints): string =>
  `[${ranges.map(([first, last]) => first === last ? escapeInClass(first) : `${escapeInClass(first)}-${escapeInClass(last)}`).join('')}]`

/** A literal; empty for an empty text. */
export function gbnfLiteral (text: string): string {
  if (text === '') return ''
  const escaped = Array.from(text, (character) => {
    const point = character.codePointAt(0)!
    if (character === '"' || character === '\\') return `\\${character}`
    if (point >= 0x20 && point < 0x7f) return character
    return point > 0xffff ? `\\U${hex(point, 8)}` : `\\u${hex(point, 4)}`
  })
  return `"${escaped.join('')}"`
}

/** Elements side by side, those that are empty left out. */
export const gbnfSequence = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' ')

/** One of these; in parentheses where there are several. */
export function gbnfChoice (alternatives: readonly string[]): string {
  const different = [...new Set(alternatives)]
  return different.length === 1 ? different[0]! : `( ${different.join(' | ')} )`
}

/** Above this many repetitions they are written in blocks; llama.cpp writes every single one out. */
const blockThreshold = 64

/**
 * From `least` to `most` of an element that is one symbol or a group, and never empty. llama.cpp takes an upper end above 2000 for
 * none, and each repetition for an element of its own, so many of them become blocks of blocks: some `√n` elements.
 * @param most Infinity for no upper end
 */
export function gbnfRepeat (element: string, least: number, most: number): string {
  if (most === Infinity) return least === 0 ? `${element}*` : least === 1 ? `${element}+` : gbnfSequence(exactly(element, least), `${element}*`)
  return gbnfSequence(exactly(element, least), upTo(element, most - least))
}

function exactly (element: string, count: number): string {
  if (count === 0) return ''
  if (count === 1) return element
  if (count <= blockThreshold) return `${element}{${count}}`
  const size = Math.ceil(Math.sqrt(count))
  return gbnfSequence(`( ${element}{${size}} ){${Math.floor(count / size)}}`, exactly(element, count % size))
}

function upTo (element: string, count: number): string {
  if (count === 0) return ''
  if (count === 1) return `${element}?`
  if (count <= blockThreshold) return `${element}{0,${count}}`
  // Whole blocks, one fewer than fit, and a rest of up to a block and what is over: together every number once or twice.
  const size = Math.ceil(Math.sqrt(count))
  const blocks = Math.floor(count / size)
  return `( ${element}{${size}} ){0,${blocks - 1}} ${element}{0,${size + count % size}}`
}
