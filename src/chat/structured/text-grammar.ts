import type { Automaton } from './automaton.ts'
import { codePointsOf, hasCodePoint, intersectCodePoints, subtractCodePoints, type CodePoints } from './code-points.ts'
import { gbnfChoice, gbnfClass, gbnfLiteral, gbnfSequence } from './gbnf-text.ts'
import type { GrammarRules } from './grammar-rules.ts'
import { plainInJson } from './json-rules.ts'

/** How characters are written: as they are, or within a JSON string, where some need an escape. */
export type TextForm = 'plain' | 'json'

/** Groups within groups; llama.cpp's parser is recursive. */
const maxGroupDepth = 24

const shortEscapes: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
/** What cannot stand in a JSON string as it is. */
const escaped: CodePoints = [[0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]]
const shortEscaped = codePointsOf(Object.keys(shortEscapes).join(''))

/** An element for the texts that an automaton accepts: what needs an escape in a JSON string is written in the shortest one. */
export function textGrammar (rules: GrammarRules, automaton: Automaton, form: TextForm): string {
  return new TextWriter(rules, automaton, form).write()
}

class TextWriter {
  readonly #rules: GrammarRules
  readonly #automaton: Automaton
  readonly #form: TextForm
  readonly #uses: number[]
  readonly #names = new Map<number, string>()
  readonly #pending: number[] = []

  constructor (rules: GrammarRules, automaton: Automaton, form: TextForm) {
    this.#rules = rules
    this.#automaton = automaton
    this.#form = form
    this.#uses = automaton.map(() => 0)
    this.#uses[0] = 1
    for (const { transitions } of automaton) for (const { to } of transitions) this.#uses[to]!++
  }

  write (): string {
    const start = this.#nameOf(0)
    for (let state = this.#pending.pop(); state !== undefined; state = this.#pending.pop()) {
      this.#rules.define(this.#names.get(state)!, this.#alternatives(state, 0).join(' | '))
    }
    return start
  }

  #nameOf (state: number): string {
    let name = this.#names.get(state)
    if (name === undefined) {
      name = this.#rules.reserve('text')
      this.#names.set(state, name)
      this.#pending.push(state)
    }
    return name
  }

  /** What can follow in a state: written in place where nothing else leads there, else by the rule's name. */
  #after (state: number, depth: number): string {
    const { isEnd, transitions } = this.#automaton[state]!
    if (transitions.length === 0) return ''
    if (this.#uses[state]! > 1 || depth >= maxGroupDepth || state === 0) return this.#nameOf(state)
    const alternatives = this.#alternatives(state, depth + 1)
    return transitions.length === 1 && !isEnd ? alternatives[0]! : gbnfChoice(alternatives)
  }

  /** Follows states of one way out in a loop, since texts can be long and a call for each character too deep. */
  #alternatives (state: number, depth: number): string[] {
    const { isEnd, transitions } = this.#automaton[state]!
    const alternatives = transitions.map(({ on, to }) => {
      const parts: string[] = []
      let literal = this.#literalOf(on)
      let next = to
      if (literal === null) {
        parts.push(this.#classOf(on))
        literal = ''
      }
      for (;;) {
        const following = this.#automaton[next]!
        const [way] = following.transitions
        if (this.#uses[next]! > 1 || next === 0 || following.isEnd || following.transitions.length !== 1 || way === undefined) break
        const more: string | null = this.#literalOf(way.on)
        if (more === null) {
          parts.push(gbnfLiteral(literal), this.#classOf(way.on))
          literal = ''
        } else {
          literal += more
        }
        next = way.to
      }
      return gbnfSequence(...parts, gbnfLiteral(literal), this.#after(next, depth))
    })
    // An empty alternative is written as an empty literal: behind a bare "|" the next rule's name would be read.
    return isEnd ? [...alternatives, '""'] : alternatives
  }

  /** How the only character of a set is written; null when there are several. */
  #literalOf (on: CodePoints): string | null {
    const [range] = on
    if (on.length !== 1 || range === undefined || range[0] !== range[1]) return null
    return this.#form === 'plain' ? String.fromCodePoint(range[0]) : inJson(range[0])
  }

  #classOf (on: CodePoints): string {
    if (this.#form === 'plain') return gbnfClass(on)
    const plain = intersectCodePoints(on, plainInJson)
    if (covers(on, escaped)) {
      const escape = this.#rules.share('escape', () => this.#escapesOf(escaped).join(' | '))
      if (plain.length === 0) return escape
      if (covers(plain, plainInJson)) return this.#rules.share('plainchar', () => `${gbnfClass(plain)} | ${escape}`)
      return `( ${gbnfClass(plain)} | ${escape} )`
    }
    return gbnfChoice([...(plain.length === 0 ? [] : [gbnfClass(plain)]), ...this.#escapesOf(on)])
  }

  #escapesOf (on: CodePoints): string[] {
    const short = intersectCodePoints(on, shortEscaped)
    const long = subtractCodePoints(intersectCodePoints(on, escaped), shortEscaped)
    const alternatives: string[] = []
    if (short.length > 0) alternatives.push(`"\\\\" ${gbnfClass(codePointsOf(pointsIn(short).map((point) => inJson(point).slice(1)).join('')))}`)
    for (const high of [0, 1]) {
      const digits = pointsIn(long).filter((point) => point >> 4 === high).map((point) => (point & 15).toString(16))
      if (digits.length > 0) alternatives.push(`"\\\\u00${high}" ${gbnfClass(codePointsOf(digits.join('')))}`)
    }
    return alternatives
  }
}

const covers = (ranges: CodePoints, others: CodePoints): boolean => subtractCodePoints(others, ranges).length === 0

const pointsIn = (ranges: CodePoints): number[] =>
  ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index))

function inJson (point: number): string {
  const character = String.fromCodePoint(point)
  if (!hasCodePoint(escaped, point)) return character
  return shortEscapes[character] ?? `\\u${point.toString(16).padStart(4, '0')}`
}
