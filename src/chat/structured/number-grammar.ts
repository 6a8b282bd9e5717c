import { acceptsNothing, intersectAutomata, type Automaton } from './automaton.ts'
import type { GrammarRules } from './grammar-rules.ts'
import { exactDigits, jsonInteger, jsonNumber } from './json-rules.ts'
import { unsupportedSchema } from './located-schema.ts'
import { atLeast, atMost, integersBetween } from './number-patterns.ts'
import { multiplesAutomaton } from './multiples-automaton.ts'
import { automatonOfRegex } from './regex-automaton.ts'
import type { Bound, Constraints, Placed } from './schema-constraints.ts'
import { textGrammar } from './text-grammar.ts'

const maxStates = 2000
/** What is beyond it is beyond every number that is written here. */
const limit = 10 ** exactDigits - 1

/** A JSON number, without an exponent where bounds are asked for; null when no number fits. */
export function numberGrammar (rules: GrammarRules, constraints: Constraints, type: 'number' | 'integer'): string | null {
  const { minimum, maximum, multiples } = constraints
  for (const [bound, side] of [[minimum, 1], [maximum, -1]] as const) {
    if (bound !== null && bound.value * side > limit) throw unsupportedSchema(bound.path, `numbers of more than ${exactDigits} digits are not supported`)
  }
  if (type === 'integer' || multiples.length > 0) return integerGrammar(rules, minimum, maximum, multiples)
  const path = minimum?.path ?? maximum?.path ?? ''
  const [least, most] = [without(minimum, -1), without(maximum, 1)]
  if (least === null && most === null) return jsonNumber(rules)
  const automaton = realsBetween(least, most, path)
  return automaton === null ? null : textGrammar(rules, automaton, 'plain')
}

/** Leaves out a bound that no number gets to. */
function without (bound: Bound | null, side: 1 | -1): Bound | null {
  return bound === null || bound.value * side > limit ? null : bound
}

function integerGrammar (rules: GrammarRules, minimum: Bound | null, maximum: Bound | null, multiples: ReadonlyArray<Placed<number>>): string | null {
  const [lower, upper] = [without(minimum, -1), without(maximum, 1)]
  if (lower === null && upper === null && multiples.length === 0) return jsonInteger(rules)
  const least = lower === null ? -limit : lower.isExclusive ? Math.floor(lower.value) + 1 : Math.ceil(lower.value)
  const most = upper === null ? limit : upper.isExclusive ? Math.ceil(upper.value) - 1 : Math.floor(upper.value)
  if (least > most) return null
  const path = lower?.path ?? upper?.path ?? multiples[0]!.path
  let automaton = automatonOfRegex(signed(least, most), path)
  for (const { value, path } of multiples) {
    if (!Number.isInteger(value)) throw unsupportedSchema(path, '"multipleOf" is only supported for whole numbers')
    const divisible: Automaton | null = value === 1 ? automaton : value > maxStates ? null : intersectAutomata(automaton, multiplesAutomaton(value), maxStates)
    if (divisible === null) throw unsupportedSchema(path, `multiples of ${value} take more than the ${maxStates} states that are the limit; a narrower range of numbers takes fewer`)
    automaton = divisible
  }
  return acceptsNothing(automaton) ? null : textGrammar(rules, automaton, 'plain')
}

/** The integers from one to another, as a regular expression. */
function signed (least: number, most: number): string {
  const negative = least < 0 ? [`-(?:${integersBetween(Math.max(1, -most), -least)})`] : []
  const other = most >= 0 ? [integersBetween(Math.max(0, least), most)] : []
  return [...negative, ...other].join('|')
}

function realsBetween (least: Bound | null, most: Bound | null, path: string): Automaton | null {
  const wholeDigits = Math.max(...[least, most].map((bound) => bound === null ? 1 : String(Math.trunc(Math.abs(bound.value))).length))
  // So few digits that what is less than a bound when it is written is less when it is read.
  const decimals = exactDigits - wholeDigits
  for (const bound of [least, most]) {
    if (bound === null) continue
    const text = String(bound.value)
    if (/e/.test(text) || (text.split('.')[1]?.length ?? 0) > decimals) {
      throw unsupportedSchema(bound.path, `the limit has more than ${exactDigits} digits or too many decimals`)
    }
  }
  const shape = `(?:0|[1-9]\\d{0,${exactDigits - 1}})${decimals === 0 ? '' : `(?:\\.\\d{1,${decimals}})?`}`
  const lowest = least ?? { value: -Infinity, isExclusive: true, path }
  const highest = most ?? { value: Infinity, isExclusive: true, path }
  const automata: Automaton[] = []
  const add = (sign: string, from: Bound, to: Bound): void => {
    let automaton = automatonOfRegex(sign + shape, path)
    if (from.value > 0 || from.isExclusive) automaton = both(automaton, `${sign}(?:${atLeast(from)})`, path)
    if (to.value < Infinity) automaton = both(automaton, `${sign}(?:${atMost(to)})`, path)
    automata.push(automaton)
  }
  if (highest.value >= 0) add('', lowest.value < 0 ? { value: 0, isExclusive: false, path } : lowest, highest)
  // Minus nought counts as nought, which is among the others.
  if (lowest.value < 0) add('-', highest.value >= 0 ? { value: 0, isExclusive: true, path } : negated(highest), negated(lowest))
  const possible = automata.filter((automaton) => !acceptsNothing(automaton))
  if (possible.length === 0) return null
  return joined(possible)
}

function both (automaton: Automaton, pattern: string, path: string): Automaton {
  const combined = intersectAutomata(automaton, automatonOfRegex(pattern, path), maxStates)
  if (combined === null) throw unsupportedSchema(path, `the range takes more than the ${maxStates} states that are the limit`)
  return combined
}

const negated = (bound: Bound): Bound => ({ ...bound, value: -bound.value })

/** Automata of which one begins with a minus and the other does not, as one. */
function joined ([first, second]: readonly Automaton[]): Automaton {
  if (first === undefined) return []
  if (second === undefined) return first
  const offset = first.length
  const moved = second.map(({ isEnd, transitions }) => ({ isEnd, transitions: transitions.map(({ on, to }) => ({ on, to: to + offset })) }))
  const [start, ...rest] = first
  return [{ isEnd: start!.isEnd, transitions: [...start!.transitions, ...moved[0]!.transitions] }, ...rest, ...moved]
}
