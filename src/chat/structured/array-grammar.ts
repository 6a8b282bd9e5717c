import { gbnfRepeat, gbnfSequence } from './gbnf-text.ts'
import { comma } from './json-rules.ts'
import type { Compiler, Written } from './json-schema-grammar.ts'
import { unsupportedSchema } from './located-schema.ts'
import { checkCount } from './check-count.ts'
import type { Constraints } from './schema-constraints.ts'

/** An array: its first items one by one, the rest all alike. Null when no array fits. */
export function arrayGrammar (compiler: Compiler, constraints: Constraints): Written | null {
  const { arrays, minItems: least, uniqueItems, places } = constraints
  let most = constraints.maxItems
  if (uniqueItems !== null && most > 1) {
    throw unsupportedSchema(uniqueItems.path, 'whether items are unique cannot be kept track of; only arrays of at most one item can be asked to be ("maxItems": 1)')
  }
  const firstCount = Math.max(0, ...arrays.map(({ first }) => first.length))
  const first: string[] = []
  for (let index = 0; index < Math.min(firstCount, most); index++) {
    const item = compiler.compile(arrays.map((part) => part.first[index] ?? part.rest))
    // Where nothing fits, the array ends.
    if (item === null) most = index
    else first.push(item)
  }
  const rest = most > firstCount ? compiler.compile(arrays.map((part) => part.rest)) : null
  if (rest === null) most = Math.min(most, first.length)
  if (least > most) return null
  checkCount(places.array, least, most)
  const needs = [...first.slice(0, least), ...(rest !== null && least > first.length ? [rest] : [])]

  let text = ''
  if (rest !== null) {
    const [atLeast, atMost] = [Math.max(0, least - first.length), most - first.length]
    const further = `( ${comma} ${rest} )`
    if (first.length > 0) text = gbnfRepeat(further, atLeast, atMost)
    else if (atLeast > 0) text = gbnfSequence(rest, gbnfRepeat(further, atLeast - 1, atMost - 1))
    else text = `( ${gbnfSequence(rest, gbnfRepeat(further, 0, atMost - 1))} )?`
  }
  for (let index = first.length - 1; index >= 0; index--) {
    const from = gbnfSequence(index > 0 ? comma : '', first[index]!, text)
    text = index < least ? from : `${compiler.rules.add('items', from)}?`
  }
  return { text: gbnfSequence('"["', text, '"]"'), needs }
}
