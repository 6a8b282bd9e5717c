import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { GrammarContext } from './dialect.ts'
import { otherThan } from './gbnf.ts'

/**
 * GBNF for any text that ends with the marker and does not hold it before: the automaton of Knuth, Morris and Pratt, a rule
 * for each of its states.
 * @returns the name of the first rule
 */
export function textUntil (marker: string, name: string, define: GrammarContext['define']): string {
  const characters = [...new Set(marker)]
  const others = otherThan(marker)
  for (let state = 0; state < marker.length; state++) {
    const ways = characters.map((character) => {
      const next = stateAfter(marker, marker.slice(0, state) + character)
      return next === marker.length ? gbnfLiteral(character) : `${gbnfLiteral(character)} ${name}-${next}`
    })
    define(`${name}-${state}`, [...ways, `${others} ${name}-0`].join(' | '))
  }
  return `${name}-0`
}

/** Length of the longest end of the text that is a beginning of the marker. */
function stateAfter (marker: string, text: string): number {
  let length = text.length
  while (!text.endsWith(marker.slice(0, length))) length--
  return length
}
