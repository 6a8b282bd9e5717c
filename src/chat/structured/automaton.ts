import { allCodePoints, codePoints, complementOf, hasCodePoint, intersectCodePoints, type CodePoints } from './code-points.ts'
import type { WorkBudget } from './work-budget.ts'

export interface Transition {
  readonly on: CodePoints
  readonly to: number
}

export interface State {
  readonly isEnd: boolean
  /** No two of them share a character. */
  readonly transitions: readonly Transition[]
}

/**
 * A deterministic finite automaton over code points; it begins in state 0. In a grammar made of one, no text can be read in two
 * ways, so draws under it stay fast.
 */
export type Automaton = readonly State[]

/** Steps that a state of its own takes, against one for a character that others begin with as well. */
const workOfState = 10

/**
 * The texts of a list, and no others.
 * @throws ServerError `unsupported_value` when they are too long together
 */
export function automatonOfTexts (texts: Iterable<string>, budget: WorkBudget): Automaton {
  const states: { isEnd: boolean, next: Map<number, number> }[] = [{ isEnd: false, next: new Map() }]
  for (const text of texts) {
    budget.spend(text.length)
    let state = states[0]!
    for (const character of text) {
      const point = character.codePointAt(0)!
      let to = state.next.get(point)
      if (to === undefined) {
        budget.spend(workOfState)
        to = states.length
        state.next.set(point, to)
        states.push({ isEnd: false, next: new Map() })
      }
      state = states[to]!
    }
    state.isEnd = true
  }
  return states.map(({ isEnd, next }) => ({ isEnd, transitions: Array.from(next, ([point, to]) => ({ on: [[point, point]], to })) }))
}

/** Texts of so many characters. */
export function automatonOfLengths (least: number, most: number): Automaton {
  const count = most === Infinity ? least : most
  return Array.from({ length: count + 1 }, (_, length): State => ({
    isEnd: length >= least,
    transitions: length < count ? [{ on: allCodePoints, to: length + 1 }] : most === Infinity ? [{ on: allCodePoints, to: length }] : []
  }))
}

/** Every text that it does not accept. */
export function complementOfAutomaton (automaton: Automaton): Automaton {
  const rest = automaton.length
  const complement = automaton.map(({ isEnd, transitions }): State => {
    const other = complementOf(codePoints(transitions.flatMap(({ on }) => [...on])))
    return { isEnd: !isEnd, transitions: other.length === 0 ? transitions : [...transitions, { on: other, to: rest }] }
  })
  return [...complement, { isEnd: true, transitions: [{ on: allCodePoints, to: rest }] }]
}

/**
 * The texts that both accept, states that lead nowhere left out; null when the automaton would have more states than the limit.
 */
export function intersectAutomata (a: Automaton, b: Automaton, maxStates: number, budget: WorkBudget): Automaton | null {
  const numbers = new Map<number, number>([[0, 0]])
  const pairs: [number, number][] = [[0, 0]]
  const states: State[] = []
  for (let index = 0; index < pairs.length; index++) {
    const [inA, inB] = pairs[index]!
    const transitions: Transition[] = []
    budget.spend(a[inA]!.transitions.length * b[inB]!.transitions.length + 1)
    for (const one of a[inA]!.transitions) {
      for (const other of b[inB]!.transitions) {
        const on = intersectCodePoints(one.on, other.on)
        if (on.length === 0) continue
        const pair = one.to * b.length + other.to
        let to = numbers.get(pair)
        if (to === undefined) {
          to = pairs.length
          if (to >= maxStates) return null
          numbers.set(pair, to)
          pairs.push([one.to, other.to])
        }
        transitions.push({ on, to })
      }
    }
    states.push({ isEnd: a[inA]!.isEnd && b[inB]!.isEnd, transitions })
  }
  return trimAutomaton(states)
}

/** Leaves out what cannot lead to an end, and states that no text reaches; joins transitions that lead to the same state. */
export function trimAutomaton (automaton: Automaton): Automaton {
  const sources = automaton.map((): number[] => [])
  for (const [from, { transitions }] of automaton.entries()) for (const { to } of transitions) sources[to]!.push(from)
  const live = new Set<number>()
  const pending = automaton.flatMap(({ isEnd }, index) => isEnd ? [index] : [])
  for (let state = pending.pop(); state !== undefined; state = pending.pop()) {
    if (live.has(state)) continue
    live.add(state)
    pending.push(...sources[state]!)
  }
  const numbers = new Map([[0, 0]])
  const order = [0]
  const states: State[] = []
  for (let index = 0; index < order.length; index++) {
    const { isEnd, transitions } = automaton[order[index]!]!
    const on = new Map<number, (readonly [number, number])[]>()
    for (const transition of transitions) {
      if (!live.has(transition.to)) continue
      let to = numbers.get(transition.to)
      if (to === undefined) {
        to = order.length
        numbers.set(transition.to, to)
        order.push(transition.to)
      }
      on.set(to, [...on.get(to) ?? [], ...transition.on])
    }
    states.push({ isEnd, transitions: Array.from(on, ([to, ranges]) => ({ on: codePoints(ranges), to })) })
  }
  return states
}

/** Whether it accepts no text at all. */
export const acceptsNothing = (automaton: Automaton): boolean => automaton.every(({ isEnd }) => !isEnd)

export function acceptsText (automaton: Automaton, text: string): boolean {
  let state = automaton[0]!
  for (const character of text) {
    const to = state.transitions.find(({ on }) => hasCodePoint(on, character.codePointAt(0)!))?.to
    if (to === undefined) return false
    state = automaton[to]!
  }
  return state.isEnd
}
