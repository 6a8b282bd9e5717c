import type { Automaton, State } from './automaton.ts'

/** Whole numbers in digits, with a minus or not, that a divisor divides. Leading noughts are not its business. */
export function multiplesAutomaton (divisor: number): Automaton {
  const states: State[] = Array.from({ length: divisor }, (_, remainder): State => ({ isEnd: remainder === 0, transitions: digitsFrom(remainder, divisor) }))
  const merged = mergeAlike(states)
  // Before the first digit nothing is a multiple yet, and there may be a minus.
  const first = merged.transitionsFrom(0)
  const shift = 2
  const moved = (transitions: State['transitions']): State['transitions'] => transitions.map(({ on, to }) => ({ on, to: to + shift }))
  const unsigned: State = { isEnd: false, transitions: moved(first) }
  return [
    { isEnd: false, transitions: [{ on: [[0x2d, 0x2d]], to: 1 }, ...unsigned.transitions] },
    unsigned,
    ...merged.states.map(({ isEnd, transitions }) => ({ isEnd, transitions: moved(transitions) }))
  ]
}

function digitsFrom (remainder: number, divisor: number): State['transitions'] {
  const targets = new Map<number, [number, number][]>()
  for (let digit = 0; digit <= 9; digit++) {
    const to = (remainder * 10 + digit) % divisor
    targets.set(to, [...targets.get(to) ?? [], [0x30 + digit, 0x30 + digit]])
  }
  return Array.from(targets, ([to, on]) => ({ on, to }))
}

/** Makes one state of those that accept the same digits from there on: of 1000 remainders by 1000, four remain. */
function mergeAlike (states: readonly State[]): { readonly states: readonly State[], transitionsFrom (state: number): State['transitions'] } {
  let groups: readonly number[] = states.map(({ isEnd }) => isEnd ? 1 : 0)
  for (let count = 0; ;) {
    const numbers = new Map<string, number>()
    groups = states.map(({ transitions }, state) => {
      const byDigit: number[] = []
      for (const { on, to } of transitions) for (const [point] of on) byDigit[point - 0x30] = groups[to]!
      const key = `${groups[state]} ${byDigit.join(' ')}`
      const number = numbers.get(key) ?? numbers.size
      numbers.set(key, number)
      return number
    })
    if (numbers.size === count) break
    count = numbers.size
  }
  const transitionsFrom = (state: number): State['transitions'] => {
    const targets = new Map<number, (readonly [number, number])[]>()
    for (const { on, to } of states[state]!.transitions) targets.set(groups[to]!, [...targets.get(groups[to]!) ?? [], ...on])
    return Array.from(targets, ([to, on]) => ({ on: [...on].sort((a, b) => a[0] - b[0]), to }))
  }
  const merged: State[] = []
  for (const [state, group] of groups.entries()) merged[group] ??= { isEnd: states[state]!.isEnd, transitions: transitionsFrom(state) }
  return { states: merged, transitionsFrom }
}
