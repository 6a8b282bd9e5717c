import { acceptsNothing, automatonOfLengths, intersectAutomata, type Automaton } from './automaton.ts'
import { checkCount } from './check-count.ts'
import type { GrammarRules } from './grammar-rules.ts'
import { jsonString } from './json-rules.ts'
import { unsupportedSchema } from './located-schema.ts'
import { automatonOfRegex } from './regex-automaton.ts'
import type { Constraints } from './schema-constraints.ts'
import { stringFormats } from './string-formats.ts'
import { textGrammar } from './text-grammar.ts'

/** A JSON string; null when no string fits. */
export function stringGrammar (rules: GrammarRules, constraints: Constraints): string | null {
  const { minLength, maxLength, places } = constraints
  if (minLength > maxLength) return null
  checkCount(places.string, minLength, maxLength)
  const automaton = patternOf(constraints)
  if (automaton === null) return jsonString(rules, minLength, maxLength)
  if (acceptsNothing(automaton)) return null
  return `"\\"" ${textGrammar(rules, automaton, 'json')} "\\""`
}

/** What its patterns and formats accept, of the lengths asked for; null when there are none. */
export function patternOf ({ patterns, formats, minLength, maxLength, places }: Constraints): Automaton | null {
  let combined: Automaton | null = null
  const combine = (automaton: Automaton, path: string): void => {
    const both = combined === null ? automaton : intersectAutomata(combined, automaton, maxStates)
    if (both === null) throw unsupportedSchema(path, `together with what else is asked of the string it needs more than ${maxStates} states, which is the limit`)
    combined = both
  }
  for (const { value, path } of formats) {
    const pattern = Object.hasOwn(stringFormats, value) ? stringFormats[value] : undefined
    if (pattern === undefined) {
      throw unsupportedSchema(path, `the format ${JSON.stringify(value.slice(0, 80))} is not supported; these are: ${Object.keys(stringFormats).join(', ')}`)
    }
    combine(automatonOfRegex(pattern, path), path)
  }
  for (const { value, path } of patterns) combine(automatonOfRegex(value, path, 'search'), path)
  if (combined === null) return null
  if (minLength > 0 || maxLength < Infinity) {
    const place = places.string ?? patterns[0]?.path ?? formats[0]!.path
    if ((maxLength === Infinity ? minLength : maxLength) > maxStates) {
      throw unsupportedSchema(place, `together with a pattern or format, lengths of more than ${maxStates} are not supported`)
    }
    combine(automatonOfLengths(minLength, maxLength), place)
  }
  return combined
}

/** Each state is a rule of the grammar, or a part of one. */
const maxStates = 2000
