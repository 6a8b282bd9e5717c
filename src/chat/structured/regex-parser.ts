import { allCodePoints, codePoints, complementOf, type CodePoints } from './code-points.ts'
import { invalidSchema, unsupportedSchema } from './located-schema.ts'

export type RegexNode =
  | { readonly kind: 'class', readonly on: CodePoints }
  | { readonly kind: 'sequence' | 'choice', readonly parts: readonly RegexNode[] }
  | { readonly kind: 'repeat', readonly part: RegexNode, readonly least: number, readonly most: number }
  /** `^` and `$`. */
  | { readonly kind: 'start' | 'end' }

export interface Lookahead {
  readonly isNegative: boolean
  readonly node: RegexNode
}

export interface ParsedRegex {
  readonly node: RegexNode
  /** What the text has to begin with, or must not, beside the rest: only behind a `^` at the very beginning. */
  readonly lookaheads: readonly Lookahead[]
}

const maxDepth = 64

const digits: CodePoints = [[0x30, 0x39]]
const wordCharacters: CodePoints = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]
const blanks: CodePoints = [
  [0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f],
  [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]
]
const anyButLineEnds = complementOf([[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]])

const classEscapes: Readonly<Record<string, CodePoints>> = {
  d: digits, D: complementOf(digits), w: wordCharacters, W: complementOf(wordCharacters), s: blanks, S: complementOf(blanks)
}
const controlEscapes: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 }

/**
 * Parses the part of ECMAScript's regular expressions (as with the flag `u`) that an automaton can follow.
 * @throws ServerError that names what is not supported; `path` becomes its `param`
 */
export function parseRegex (pattern: string, path: string): ParsedRegex {
  return new RegexParser(pattern, path).parse()
}

class RegexParser {
  readonly #characters: readonly string[]
  readonly #path: string
  readonly #lookaheads: Lookahead[] = []
  #at = 0
  #depth = 0

  constructor (pattern: string, path: string) {
    this.#characters = Array.from(pattern)
    this.#path = path
  }

  parse (): ParsedRegex {
    const node = this.#choice()
    if (this.#at < this.#characters.length) throw this.#invalid('")" without "("')
    if (this.#lookaheads.length > 0 && node.kind === 'choice') throw this.#unsupported('a lookahead beside a "|" outside of parentheses')
    return { node, lookaheads: this.#lookaheads }
  }

  #invalid (reason: string): Error {
    return invalidSchema(this.#path, `the regular expression is invalid at character ${this.#at}: ${reason}`)
  }

  #unsupported (what: string): Error {
    return unsupportedSchema(this.#path, `regular expressions with ${what} are not supported`)
  }

  #peek (text: string): boolean {
    return Array.from(text).every((character, index) => this.#characters[this.#at + index] === character)
  }

  #take (text: string): boolean {
    const found = this.#peek(text)
    if (found) this.#at += text.length
    return found
  }

  /** The characters that match from here on; null when there are none. */
  #takeMatch (pattern: RegExp, most = 16): string | null {
    const match = pattern.exec(this.#characters.slice(this.#at, this.#at + most).join(''))
    if (match === null) return null
    this.#at += Array.from(match[0]).length
    return match[0]
  }

  #choice (): RegexNode {
    if (++this.#depth > maxDepth) throw this.#unsupported(`groups nested more than ${maxDepth} deep`)
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#depth--
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  #sequence (): RegexNode {
    const parts: RegexNode[] = []
    while (this.#at < this.#characters.length && !this.#peek('|') && !this.#peek(')')) {
      if (this.#lookahead(parts)) continue
      const atom = this.#atom()
      parts.push(this.#quantified(atom))
    }
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts }
  }

  #lookahead (before: readonly RegexNode[]): boolean {
    const isNegative = this.#peek('(?!')
    if (!isNegative && !this.#peek('(?=')) return false
    const isAtStart = this.#depth === 1 && before.length === 1 && before[0]?.kind === 'start' && this.#characters[0] === '^'
    if (!isAtStart) throw this.#unsupported('a lookahead that is not directly behind a "^" at the beginning')
    this.#at += 3
    const node = this.#choice()
    if (!this.#take(')')) throw this.#invalid('"(" without ")"')
    this.#lookaheads.push({ isNegative, node })
    return true
  }

  #quantified (atom: RegexNode): RegexNode {
    let least: number
    let most: number
    if (this.#take('*')) [least, most] = [0, Infinity]
    else if (this.#take('+')) [least, most] = [1, Infinity]
    else if (this.#take('?')) [least, most] = [0, 1]
    else if (this.#peek('{')) {
      const text = this.#takeMatch(/^\{\d{1,6}(?:,\d{0,6})?\}/)
      if (text === null) throw this.#invalid('expected {n}, {n,} or {n,m}; write "\\{" for a brace')
      const [first, second] = text.slice(1, -1).split(',')
      least = Number(first)
      most = second === undefined ? least : second === '' ? Infinity : Number(second)
      if (least > most) throw this.#invalid('more repetitions at least than at most')
    } else return atom
    // Lazy or not, the texts are the same.
    this.#take('?')
    if (atom.kind === 'start' || atom.kind === 'end') throw this.#invalid('an anchor cannot be repeated')
    if (['*', '+', '?', '{'].some((sign) => this.#peek(sign))) throw this.#invalid('a repetition of a repetition')
    return { kind: 'repeat', part: atom, least, most }
  }

  #atom (): RegexNode {
    if (this.#take('^')) return { kind: 'start' }
    if (this.#take('$')) return { kind: 'end' }
    if (this.#take('(')) return this.#group()
    if (this.#take('[')) return { kind: 'class', on: this.#class() }
    if (this.#take('.')) return { kind: 'class', on: anyButLineEnds }
    if (this.#take('\\')) return { kind: 'class', on: this.#escape(false) }
    const character = this.#characters[this.#at]!
    if ('*+?{'.includes(character)) throw this.#invalid(`nothing to repeat before "${character}"`)
    this.#at++
    return { kind: 'class', on: this.#single(character.codePointAt(0)!) }
  }

  #group (): RegexNode {
    if (this.#take('?')) {
      if (this.#peek('<=') || this.#peek('<!')) throw this.#unsupported('a lookbehind')
      if (!this.#take(':') && this.#takeMatch(/^P?<[A-Za-z_$][\w$]*>/, 80) === null) throw this.#unsupported(`a group "(?${this.#characters[this.#at] ?? ''}"`)
    }
    const node = this.#choice()
    if (!this.#take(')')) throw this.#invalid('"(" without ")"')
    return node
  }

  #single (point: number): CodePoints {
    if (point >= 0xd800 && point <= 0xdfff) throw this.#unsupported('half of a surrogate pair')
    return [[point, point]]
  }

  #class (): CodePoints {
    const isNegated = this.#take('^')
    const ranges: (readonly [number, number])[] = []
    if (this.#peek(']')) throw this.#unsupported('an empty character class')
    while (!this.#take(']')) {
      const first = this.#classMember()
      if (!this.#peek('-') || this.#characters[this.#at + 1] === ']') {
        ranges.push(...first)
        continue
      }
      this.#at++
      const last = this.#classMember()
      const [from] = first
      const [to] = last
      const isRange = first.length === 1 && last.length === 1 && from![0] === from![1] && to![0] === to![1]
      if (!isRange || from![0] > to![0]) throw this.#invalid('a range out of order')
      ranges.push([from![0], to![0]])
    }
    const on = codePoints(ranges)
    return isNegated ? complementOf(on) : on
  }

  #classMember (): CodePoints {
    const character = this.#characters[this.#at]
    if (character === undefined) throw this.#invalid('"[" without "]"')
    this.#at++
    return character === '\\' ? this.#escape(true) : this.#single(character.codePointAt(0)!)
  }

  #escape (isInClass: boolean): CodePoints {
    const character = this.#characters[this.#at++]
    if (character === undefined) throw this.#invalid('nothing behind "\\"')
    if (Object.hasOwn(classEscapes, character)) return classEscapes[character]!
    if (Object.hasOwn(controlEscapes, character)) return this.#single(controlEscapes[character]!)
    if (/[1-9k]/.test(character)) throw this.#unsupported('a back reference')
    switch (character) {
      case '0':
        if (this.#takeMatch(/^\d/, 1) !== null) throw this.#invalid('an octal escape')
        return this.#single(0)
      case 'b':
        if (isInClass) return this.#single(8)
        throw this.#unsupported('a word boundary ("\\b")')
      case 'B': throw this.#unsupported('a word boundary ("\\B")')
      case 'p':
      case 'P': throw this.#unsupported('a Unicode property ("\\p")')
      case 'c': return this.#single((this.#takeMatch(/^[A-Za-z]/, 1) ?? this.#fail('expected a letter behind "\\c"')).charCodeAt(0) % 32)
      case 'x': return this.#single(parseInt(this.#takeMatch(/^[\da-fA-F]{2}/) ?? this.#fail('expected two hexadecimal digits'), 16))
      case 'u': return this.#single(this.#unicodeEscape())
      default:
        if (/[A-Za-z]/.test(character)) throw this.#unsupported(`the escape "\\${character}"`)
        return this.#single(character.codePointAt(0)!)
    }
  }

  #unicodeEscape (): number {
    const pair = this.#takeMatch(/^[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}/)
    if (pair !== null) return String.fromCharCode(parseInt(pair.slice(0, 4), 16), parseInt(pair.slice(6), 16)).codePointAt(0)!
    const digits = this.#takeMatch(/^(?:[\da-fA-F]{4}|\{0*[\da-fA-F]{1,6}\})/) ?? this.#fail('expected four hexadecimal digits')
    const point = parseInt(digits.replace(/[{}]/g, ''), 16)
    return point <= 0x10ffff ? point : this.#fail('a code point beyond U+10FFFF')
  }

  #fail (reason: string): never {
    throw this.#invalid(reason)
  }
}

export const anyCharacter: RegexNode = { kind: 'class', on: allCodePoints }
