import { complementOfAutomaton, intersectAutomata, trimAutomaton, type Automaton, type State, type Transition } from './automaton.ts'
import { allCodePoints, codePoints, type CodePoints } from './code-points.ts'
import { unsupportedSchema } from './located-schema.ts'
import { parseRegex, type RegexNode } from './regex-parser.ts'
import type { WorkBudget } from './work-budget.ts'

const maxStates = 2000
/** Of the automaton before it is made deterministic; each repetition is written out. */
const maxParts = 20_000
/** About what a way to another state takes beside its parts, in steps of a budget. */
const stepsOfWay = 20

/**
 * What a text has to do: be matched from beginning to end (`whole`), have a match somewhere in it (`search`, what JSON Schema's
 * `pattern` means), or begin with a match (`prefix`).
 */
export type RegexMatch = 'whole' | 'search' | 'prefix'

/**
 * The texts that a regular expression matches.
 * @throws ServerError `invalid_value` and `unsupported_value`, with `path` as `param`
 */
export function automatonOfRegex (pattern: string, path: string, budget: WorkBudget, match: RegexMatch = 'whole'): Automaton {
  const { node, lookaheads } = parseRegex(pattern, path)
  let automaton = determine(node, match, path, budget)
  for (const { isNegative, node: ahead } of lookaheads) {
    const begun = determine(ahead, 'prefix', path, budget)
    automaton = intersectAutomata(automaton, isNegative ? complementOfAutomaton(begun) : begun, maxStates, budget) ?? tooLarge(path)
  }
  return automaton
}

function tooLarge (path: string): never {
  throw unsupportedSchema(path, `the regular expression is too large or too ambiguous; the limit is ${maxStates} states`)
}

const determine = (node: RegexNode, match: RegexMatch, path: string, budget: WorkBudget): Automaton =>
  new Determiner(match, path, budget).determine(node)

/** A state of the nondeterministic automaton. What leads on without a character may ask to be at the text's beginning or end. */
interface Part {
  readonly free: number[]
  readonly atStart: number[]
  readonly atEnd: number[]
  on: CodePoints
  to: number
  /** The atoms that `on` consists of. */
  atoms: readonly number[]
}

/** Thompson's construction, then the subset construction. */
class Determiner {
  readonly #match: RegexMatch
  readonly #path: string
  readonly #budget: WorkBudget
  readonly #parts: Part[] = []

  constructor (match: RegexMatch, path: string, budget: WorkBudget) {
    this.#match = match
    this.#path = path
    this.#budget = budget
  }

  #part (): number {
    if (this.#parts.length >= maxParts) tooLarge(this.#path)
    return this.#parts.push({ free: [], atStart: [], atEnd: [], on: [], to: -1, atoms: [] }) - 1
  }

  determine (node: RegexNode): Automaton {
    const start = this.#part()
    const end = this.#part()
    if (this.#match === 'search') {
      const before = this.#part()
      this.#parts[before]!.on = allCodePoints
      this.#parts[before]!.to = start
      this.#parts[start]!.free.push(before)
    }
    const first = this.#part()
    this.#parts[start]!.free.push(first)
    this.#build(node, first, end)
    return this.#subsets(start, end)
  }

  /** Adds the ways from one part to another. */
  #build (node: RegexNode, from: number, to: number): void {
    const parts = this.#parts
    switch (node.kind) {
      case 'class': {
        const consuming = this.#part()
        parts[from]!.free.push(consuming)
        parts[consuming]!.on = node.on
        parts[consuming]!.to = to
        return
      }
      case 'start':
        parts[from]!.atStart.push(to)
        return
      case 'end':
        parts[from]!.atEnd.push(to)
        return
      case 'choice':
        for (const part of node.parts) this.#build(part, from, to)
        return
      case 'sequence': {
        let at = from
        for (const part of node.parts) {
          const next = this.#part()
          this.#build(part, at, next)
          at = next
        }
        parts[at]!.free.push(to)
        return
      }
      case 'repeat': {
        let at = from
        const once = (): void => {
          const next = this.#part()
          this.#build(node.part, at, next)
          at = next
        }
        for (let count = 0; count < node.least; count++) once()
        if (node.most === Infinity) {
          const loop = this.#part()
          parts[at]!.free.push(loop)
          const back = this.#part()
          this.#build(node.part, loop, back)
          parts[back]!.free.push(loop)
          at = loop
        }
        for (let count = node.least; count < node.most && node.most < Infinity; count++) {
          parts[at]!.free.push(to)
          once()
        }
        parts[at]!.free.push(to)
      }
    }
  }

  #subsets (start: number, end: number): Automaton {
    const atoms = this.#split()
    const isOpen = this.#match !== 'whole'
    /** What follows a match does not matter. */
    const everything = 'everything'
    const numbers = new Map<string, number>()
    const sets: (ReadonlySet<number> | null)[] = []
    const numberOf = (closure: ReadonlySet<number>): number => {
      const set = this.#kernelOf(closure, end)
      const isDone = isOpen && set.has(end)
      // The beginning is a state of its own: both anchors hold there.
      const key = isDone ? everything : sets.length === 0 ? 'beginning' : [...set].sort((a, b) => a - b).join(' ')
      let number = numbers.get(key)
      if (number === undefined) {
        number = sets.length
        if (number >= maxStates) tooLarge(this.#path)
        numbers.set(key, number)
        sets.push(isDone ? null : set)
      }
      return number
    }
    const states: State[] = []
    numberOf(this.#closure([start], 'atStart'))
    for (let index = 0; index < sets.length; index++) {
      const set = sets[index]
      if (set === null || set === undefined) {
        states.push({ isEnd: true, transitions: [{ on: allCodePoints, to: index }] })
        continue
      }
      const targets = new Map<number, number[]>()
      for (const part of set) {
        const { atoms, to } = this.#parts[part]!
        this.#budget.spend(atoms.length + 1)
        for (const atom of atoms) {
          const known = targets.get(atom)
          if (known === undefined) targets.set(atom, [to])
          else known.push(to)
        }
      }
      const ways = new Map<string, { readonly to: readonly number[], readonly on: (readonly [number, number])[] }>()
      for (const [atom, to] of targets) {
        const key = to.join(' ')
        const way = ways.get(key)
        if (way === undefined) ways.set(key, { to, on: [atoms[atom]!] })
        else way.on.push(atoms[atom]!)
      }
      const transitions: Transition[] = []
      for (const { to, on } of ways.values()) {
        const next = this.#closure(to)
        this.#budget.spend(stepsOfWay + 4 * next.size)
        transitions.push({ on: codePoints(on), to: numberOf(next) })
      }
      const atEnd = this.#closure(set, index === 0 ? 'atBoth' : 'atEnd')
      states.push({ isEnd: atEnd.has(end), transitions })
    }
    return trimAutomaton(states)
  }

  /** Cuts all code points into the pieces that no class tells apart. */
  #split (): readonly (readonly [number, number])[] {
    const cuts = new Set<number>()
    for (const { on } of this.#parts) {
      for (const [first, last] of on) {
        cuts.add(first)
        cuts.add(last + 1)
      }
    }
    const starts = [...cuts].sort((a, b) => a - b)
    const atoms = starts.slice(0, -1).map((first, index): [number, number] => [first, starts[index + 1]! - 1])
    const known = new Map<CodePoints, readonly number[]>()
    for (const part of this.#parts) {
      let inside = known.get(part.on)
      if (inside === undefined) {
        inside = atoms.flatMap(([first], index) => part.on.some(([from, to]) => from <= first && first <= to) ? [index] : [])
        this.#budget.spend(atoms.length * part.on.length)
        known.set(part.on, inside)
      }
      part.atoms = inside
    }
    return atoms
  }

  #closure (from: Iterable<number>, where: 'atStart' | 'atEnd' | 'atBoth' | null = null): ReadonlySet<number> {
    const set = new Set<number>()
    const pending = [...from]
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (set.has(part)) continue
      set.add(part)
      const { free, atStart, atEnd } = this.#parts[part]!
      pending.push(...free)
      if (where === 'atStart' || where === 'atBoth') pending.push(...atStart)
      if (where === 'atEnd' || where === 'atBoth') pending.push(...atEnd)
    }
    return set
  }

  /** What tells sets apart: the parts that take a character, or end the text. */
  #kernelOf (set: ReadonlySet<number>, end: number): ReadonlySet<number> {
    return new Set([...set].filter((part) => part === end || this.#parts[part]!.to >= 0 || this.#parts[part]!.atEnd.length > 0))
  }
}
