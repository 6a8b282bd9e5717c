import { ServerError } from '../../domain/errors.ts'

/** A terminal consumes one character, in one of the ranges of code points or, negated, in none of them. */
export interface GbnfTerminal {
  readonly type: 'terminal'
  readonly ranges: ReadonlyArray<readonly [number, number]>
  readonly isNegated: boolean
}

export type GbnfElement = GbnfTerminal | { readonly type: 'rule', readonly name: string }

export interface GbnfRule {
  readonly name: string
  readonly alternatives: readonly (readonly GbnfElement[])[]
}

export interface GbnfGrammar {
  /** Rules by name, those that stand for groups and repetitions among them. */
  readonly rules: ReadonlyMap<string, GbnfRule>
  /** The written rule that a name belongs to. */
  labelOf (name: string): string
}

/** As in llama.cpp, which takes more repetitions than this at the upper end for "without end". */
const maxRepetitions = 2_000
const maxGroupDepth = 64
/** Elements after repetitions are written out, as llama.cpp does: 8 bytes each there, again in every sequence's state. */
const maxElements = 50_000

const anyCharacter: GbnfElement = { type: 'terminal', ranges: [], isNegated: true }

const controlEscapes: Readonly<Record<string, number>> = { t: 9, r: 13, n: 10 }

/**
 * Parses a GBNF grammar as llama.cpp's parser does, repetitions written out the same way, for the checks that llama.cpp
 * does not make. Its own parser prints the whole grammar to stderr where it finds a mistake; this one says where it is.
 *
 * @throws ServerError `invalid_grammar`
 */
export function parseGbnf (text: string): GbnfGrammar {
  return new GbnfParser(text).parse()
}

class GbnfParser {
  readonly #text: string
  #at = 0
  #elements = 0
  #generated = 0
  readonly #rules = new Map<string, GbnfRule>()
  /** Where a rule is referred to first. */
  readonly #references = new Map<string, number>()

  constructor (text: string) {
    this.#text = text
  }

  parse (): GbnfGrammar {
    const nul = this.#text.indexOf('\0')
    if (nul >= 0) throw this.#wrong('the character U+0000 is not allowed', nul)
    this.#space(true)
    while (this.#at < this.#text.length) this.#rule()
    if (!this.#rules.has('root')) throw this.#invalid('it has no rule "root"')
    for (const [name, at] of this.#references) {
      if (!this.#rules.has(name)) throw this.#wrong(`the rule "${name}" is not defined`, at)
    }
    return { rules: this.#rules, labelOf: (name) => name.split(' ')[0] as string }
  }

  #invalid (reason: string): ServerError {
    return new ServerError('invalid_grammar', `The grammar is invalid: ${reason}`, { param: 'grammar' })
  }

  #wrong (reason: string, at = this.#at): ServerError {
    const before = this.#text.slice(0, at).split('\n')
    return this.#invalid(`line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${reason}`)
  }

  #space (withNewlines: boolean): void {
    const space = withNewlines ? /(?:[ \t\r\n]|#[^\r\n]*)*/y : /(?:[ \t]|#[^\r\n]*)*/y
    space.lastIndex = this.#at
    space.test(this.#text)
    this.#at = space.lastIndex
  }

  /** Takes what the sticky pattern matches here. */
  #take (pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return null
    this.#at = pattern.lastIndex
    return match[0]
  }

  #rule (): void {
    const name = this.#take(/[a-zA-Z0-9-]+/y)
    if (name === null) throw this.#wrong('expected the name of a rule (letters, digits and -)')
    this.#space(false)
    if (this.#take(/::=/y) === null) throw this.#wrong(`expected "::=" after "${name}"`)
    this.#space(true)
    // A later definition wins, as in llama.cpp.
    this.#rules.set(name, { name, alternatives: this.#alternatives(name, 0) })
    if (this.#at < this.#text.length && this.#take(/\r\n|\r|\n/y) === null) throw this.#wrong('expected the end of the line')
    this.#space(true)
  }

  #alternatives (owner: string, depth: number): GbnfElement[][] {
    const alternatives = [this.#sequence(owner, depth)]
    while (this.#take(/\|/y) !== null) {
      this.#space(true)
      alternatives.push(this.#sequence(owner, depth))
    }
    return alternatives
  }

  #sequence (owner: string, depth: number): GbnfElement[] {
    const sequence: GbnfElement[] = []
    let lastSymbol = 0
    const symbol = (elements: GbnfElement[]): void => {
      lastSymbol = sequence.length
      this.#count(elements.length)
      for (const element of elements) sequence.push(element)
      this.#space(depth > 0)
    }
    for (;;) {
      const start = this.#at
      const name = this.#take(/[a-zA-Z0-9-]+/y)
      if (name !== null) {
        if (!this.#references.has(name)) this.#references.set(name, start)
        symbol([{ type: 'rule', name }])
        continue
      }
      switch (this.#text[this.#at]) {
        case '"':
          symbol(this.#literal())
          break
        case '[':
          symbol(this.#characterClass())
          break
        case '.':
          this.#at++
          symbol([anyCharacter])
          break
        case '(':
          symbol([this.#group(owner, depth + 1)])
          break
        case '*':
        case '+':
        case '?':
        case '{': {
          const [least, most] = this.#repetition()
          if (lastSymbol === sequence.length) throw this.#wrong('a repetition needs something before it', start)
          const repeated = this.#repeat(owner, sequence.splice(lastSymbol), least, most)
          for (const element of repeated) sequence.push(element)
          this.#space(depth > 0)
          break
        }
        case '<':
        case '!':
          throw this.#wrong('references to tokens are not supported; write the text as a literal')
        case undefined:
        default:
          return sequence
      }
    }
  }

  #count (elements: number): void {
    this.#elements += elements
    if (this.#elements > maxElements) throw this.#invalid(`with its repetitions written out it has more than ${maxElements} elements`)
  }

  /** The code point of a character or an escape. */
  #character (): number {
    const escape = this.#take(/\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[trn\\"[\]-])/y)
    if (escape !== null) return escape.length > 2 ? parseInt(escape.slice(2), 16) : controlEscapes[escape.charAt(1)] ?? escape.charCodeAt(1)
    if (this.#text[this.#at] === '\\') throw this.#wrong('unknown escape')
    const character = this.#take(/[\s\S]/uy)
    if (character === null) throw this.#wrong('unexpected end')
    return character.codePointAt(0) as number
  }

  #literal (): GbnfElement[] {
    const elements: GbnfElement[] = []
    this.#at++
    while (this.#take(/"/y) === null) {
      const point = this.#character()
      elements.push({ type: 'terminal', ranges: [[point, point]], isNegated: false })
    }
    return elements
  }

  #characterClass (): GbnfElement[] {
    const start = this.#at
    this.#at++
    const isNegated = this.#take(/\^/y) !== null
    const ranges: (readonly [number, number])[] = []
    while (this.#take(/\]/y) === null) {
      const first = this.#character()
      ranges.push([first, this.#take(/-(?!\])/y) === null ? first : this.#character()])
    }
    if (ranges.length === 0) throw this.#wrong('the character class is empty', start)
    return [{ type: 'terminal', ranges, isNegated }]
  }

  #group (owner: string, depth: number): GbnfElement {
    if (depth > maxGroupDepth) throw this.#wrong(`groups are nested more than ${maxGroupDepth} deep`)
    const start = this.#at
    this.#at++
    this.#space(true)
    const group = this.#generate(owner, this.#alternatives(owner, depth))
    if (this.#take(/\)/y) === null) throw this.#wrong('expected ")" for the "(" at this place', start)
    return group
  }

  #repetition (): readonly [number, number] {
    switch (this.#text[this.#at++]) {
      case '*': return [0, Infinity]
      case '+': return [1, Infinity]
      case '?': return [0, 1]
      case undefined:
      default: break
    }
    const start = this.#at
    const match = this.#take(/[ \t]*\d+[ \t]*(?:,[ \t]*(?:\d+[ \t]*)?)?\}/y)
    if (match === null) throw this.#wrong('expected {n}, {n,} or {n,m}', start)
    const [least, most] = match.replace('}', '').split(',').map((part) => part.trim())
    const minimum = Number(least)
    const maximum = most === undefined ? minimum : most === '' ? Infinity : Number(most)
    if (minimum > maxRepetitions) throw this.#wrong(`${minimum} repetitions; the limit is ${maxRepetitions}`, start)
    if (minimum > maximum) throw this.#wrong(`at least ${minimum} and at most ${maximum} repetitions`, start)
    return [minimum, maximum > maxRepetitions ? Infinity : maximum]
  }

  /** Writes `S{m,n}` out as `S … S S'`, with `S'(x) ::= S S'(x-1) |`, or `S' ::= S S' |` where there is no upper end. */
  #repeat (owner: string, repeated: readonly GbnfElement[], least: number, most: number): GbnfElement[] {
    const optional = most === Infinity ? 1 : most - least
    this.#count(repeated.length * (least + optional))
    const elements = Array.from({ length: least }, () => repeated).flat()
    let last: GbnfElement | null = null
    for (let index = 0; index < optional; index++) {
      const name = this.#nextName(owner)
      const self: GbnfElement = { type: 'rule', name }
      const rest: GbnfElement | null = most === Infinity ? self : last
      this.#rules.set(name, { name, alternatives: [rest === null ? repeated : [...repeated, rest], []] })
      last = self
    }
    return last === null ? elements : [...elements, last]
  }

  /** A space cannot be part of a written name. */
  #nextName (owner: string): string {
    return `${owner} ${this.#generated++}`
  }

  #generate (owner: string, alternatives: GbnfElement[][]): GbnfElement {
    const name = this.#nextName(owner)
    this.#rules.set(name, { name, alternatives })
    return { type: 'rule', name }
  }
}
