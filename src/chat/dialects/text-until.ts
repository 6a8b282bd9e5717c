import { literal, otherThan } from './gbnf.ts'

/**
 * GBNF rules for any text that ends with the marker and does not hold it before: the automaton of Knuth, Morris and Pratt,
 * a rule for each of its states.
 * @returns lines; the first rule is `<name>-0`
 */
export function textUntil (marker: string, name: string): string {
  const characters = [...new Set(marker)]
  const others = otherThan(marker)
  return Array.from(marker, (_, state) => {
    const ways = characters.map((character) => {
      const next = stateAfter(marker, marker.slice(0, state) + character)
      return next === marker.length ? literal(character) : `${literal(character)} ${name}-${next}`
    })
    return `${name}-${state} ::= ${[...ways, `${others} ${name}-0`].join(' | ')}`
  }).join('\n')
}

/** Length of the longest end of the text that is a beginning of the marker. */
function stateAfter (marker: string, text: string): number {
  let length = text.length
  while (!text.endsWith(marker.slice(0, length))) length--
  return length
}
