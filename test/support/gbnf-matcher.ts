/**
 * Reads GBNF grammars and follows them character by character, as llama.cpp does: an oracle for grammars that the server writes. It
 * shares no code with what writes them.
 */

type Ranges = ReadonlyArray<readonly [number, number]>
type Element = { readonly set: Ranges } | { readonly rule: string }

/** What is still to come: an element of a sequence, and what follows the sequence. */
interface Stack {
  readonly sequence: readonly Element[]
  readonly index: number
  readonly below: Stack | null
  readonly id: number
}

export class GbnfMatcher {
  readonly #rules = new Map<string, readonly (readonly Element[])[]>()
  readonly #interned = new Map<string, Stack>()
  readonly #sequenceNumbers = new Map<readonly Element[], number>()
  readonly #costs = new Map<string, number>()
  readonly #start: ReadonlySet<Stack | null>

  constructor (text: string) {
    new Reader(text, this.#rules).read()
    this.#measure()
    this.#start = this.#expand((this.#rules.get('root') ?? []).map((sequence) => this.#stack(sequence, 0, null)))
  }

  /** How many ways to read the text there are at most at any of its characters; 0 when it is not accepted. */
  widthOf (text: string): number {
    let stacks = this.#start
    let width = stacks.size
    for (const character of text) {
      stacks = this.#step(stacks, character.codePointAt(0)!)
      width = Math.max(width, stacks.size)
    }
    return stacks.has(null) ? width : 0
  }

  accepts (text: string): boolean { return this.widthOf(text) > 0 }

  /** Whether some text that begins so is accepted. */
  acceptsBeginning (text: string): boolean {
    let stacks = this.#start
    for (const character of text) stacks = this.#step(stacks, character.codePointAt(0)!)
    return stacks.size > 0
  }

  /**
   * A text that is accepted: random as long as it is short, then by the shortest way to an end.
   * @param random from 0 up to 1
   */
  walk (random: () => number, randomCharacters: number): string {
    const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!
    let text = ''
    let stacks = this.#start
    for (let length = 0; ; length++) {
      if (stacks.has(null) && (length >= randomCharacters || random() < 0.2)) return text
      const open = [...stacks].filter((stack) => stack !== null)
      if (open.length === 0) {
        if (stacks.has(null)) return text
        throw new Error(`No way on after ${JSON.stringify(text)}`)
      }
      let chosen = pick(open)
      if (length >= randomCharacters) for (const stack of open) if (this.#costOf(stack) < this.#costOf(chosen)) chosen = stack
      const element = chosen.sequence[chosen.index]!
      if (!('set' in element)) throw new Error('A stack ends in a set')
      const [first, last] = pick(element.set)
      // Mostly from what people write; the ends of ranges are where mistakes are.
      const point = random() < 0.3 ? pick([first, last]) : first + Math.floor(random() * (Math.min(last, first + 100) - first + 1))
      text += String.fromCodePoint(point)
      stacks = length >= randomCharacters ? this.#expand([this.#next(chosen)]) : this.#step(stacks, point)
    }
  }

  #stack (sequence: readonly Element[], index: number, below: Stack | null): Stack | null {
    if (index >= sequence.length) return below
    let number = this.#sequenceNumbers.get(sequence)
    if (number === undefined) this.#sequenceNumbers.set(sequence, number = this.#sequenceNumbers.size)
    const key = `${number} ${index} ${below?.id ?? -1}`
    let stack = this.#interned.get(key)
    if (stack === undefined) this.#interned.set(key, stack = { sequence, index, below, id: this.#interned.size })
    return stack
  }

  #next ({ sequence, index, below }: Stack): Stack | null { return this.#stack(sequence, index + 1, below) }

  #expand (stacks: Iterable<Stack | null>): ReadonlySet<Stack | null> {
    const open = new Set<Stack | null>()
    const seen = new Set<Stack | null>()
    const pending = [...stacks]
    while (pending.length > 0) {
      const stack = pending.pop()!
      if (seen.has(stack)) continue
      seen.add(stack)
      const element = stack === null ? null : stack.sequence[stack.index]!
      if (stack === null || element === null || 'set' in element) {
        open.add(stack)
        continue
      }
      const rule = this.#rules.get(element.rule)
      if (rule === undefined) throw new Error(`There is no rule ${element.rule}`)
      for (const sequence of rule) pending.push(this.#stack(sequence, 0, this.#next(stack)))
    }
    return open
  }

  #step (stacks: ReadonlySet<Stack | null>, point: number): ReadonlySet<Stack | null> {
    const after: (Stack | null)[] = []
    for (const stack of stacks) {
      const element = stack?.sequence[stack.index]
      if (stack !== null && element !== undefined && 'set' in element && element.set.some(([first, last]) => first <= point && point <= last)) {
        after.push(this.#next(stack))
      }
    }
    return this.#expand(after)
  }

  /** Characters of each rule's shortest text. */
  #measure (): void {
    for (let isChanging = true; isChanging;) {
      isChanging = false
      for (const [name, sequences] of this.#rules) {
        const cost = Math.min(...sequences.map((sequence) => sequence.reduce((sum, element) => sum + ('set' in element ? 1 : this.#costs.get(element.rule) ?? Infinity), 0)))
        if (cost < (this.#costs.get(name) ?? Infinity)) {
          this.#costs.set(name, cost)
          isChanging = true
        }
      }
    }
  }

  #costOf (stack: Stack): number {
    let cost = 0
    for (let at: Stack | null = stack; at !== null; at = at.below) {
      for (const element of at.sequence.slice(at.index)) cost += 'set' in element ? 1 : this.#costs.get(element.rule) ?? Infinity
    }
    return cost
  }
}

/** Reads the syntax, repetitions written out as llama.cpp does. */
class Reader {
  readonly #text: string
  readonly #rules: Map<string, readonly (readonly Element[])[]>
  #at = 0
  #made = 0

  constructor (text: string, rules: Map<string, readonly (readonly Element[])[]>) {
    this.#text = text
    this.#rules = rules
  }

  read (): void {
    while (this.#at < this.#text.length) {
      const name = this.#take(/[a-zA-Z0-9-]+/y)
      if (name === null || this.#take(/ *::= */y) === null) throw new Error(`No rule at ${this.#at}`)
      this.#rules.set(name, this.#alternatives(false))
      if (this.#take(/\n+/y) === null) throw new Error(`No line end at ${this.#at}: ${this.#text.slice(this.#at, this.#at + 40)}`)
    }
  }

  #take (pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match !== null) this.#at = pattern.lastIndex
    return match?.[0] ?? null
  }

  #alternatives (isNested: boolean): Element[][] {
    const alternatives = [this.#sequence()]
    // Behind a "|" the line may end, and the next one then belongs to it.
    while (this.#take(/\|\s*/y) !== null) alternatives.push(this.#sequence())
    if (isNested && this.#take(/\) */y) === null) throw new Error(`No ) at ${this.#at}`)
    return alternatives
  }

  #sequence (): Element[] {
    const sequence: Element[] = []
    let last: Element[] = []
    for (;;) {
      const name = this.#take(/[a-zA-Z0-9-]+/y)
      const repetition = name === null ? this.#take(/[*+?]|\{\d+(?:,\d*)?\}/y) : null
      if (name !== null) last = [{ rule: name }]
      else if (repetition !== null) {
        sequence.length -= last.length
        last = this.#repeat(last, repetition)
      } else if (this.#take(/"/y) !== null) {
        last = []
        while (this.#take(/"/y) === null) last.push({ set: [this.#range()] })
      } else if (this.#take(/\[/y) !== null) {
        const ranges: (readonly [number, number])[] = []
        const isNegated = this.#take(/\^/y) !== null
        while (this.#take(/\]/y) === null) {
          const first = this.#point()
          ranges.push([first, this.#take(/-(?!\])/y) === null ? first : this.#point()])
        }
        if (isNegated) throw new Error('Negated classes also match what is no text')
        last = [{ set: ranges }]
      } else if (this.#take(/\( */y) !== null) {
        last = [this.#make(this.#alternatives(true))]
      } else {
        return sequence
      }
      sequence.push(...last)
      this.#take(/ */y)
    }
  }

  #range (): readonly [number, number] {
    const point = this.#point()
    return [point, point]
  }

  #point (): number {
    const escape = this.#take(/\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[trn\\"[\]])/y)
    if (escape === null) {
      const character = this.#take(/[^\\]/uy)
      if (character === null) throw new Error(`No character at ${this.#at}`)
      return character.codePointAt(0)!
    }
    if (escape.length > 2) return parseInt(escape.slice(2), 16)
    return { t: 9, r: 13, n: 10 }[escape[1]!] ?? escape.charCodeAt(1)
  }

  #make (alternatives: Element[][]): Element {
    const rule = ` ${this.#made++}`
    this.#rules.set(rule, alternatives)
    return { rule }
  }

  #repeat (element: Element[], sign: string): Element[] {
    const counts = /^\{(\d+)(,?)(\d*)\}$/.exec(sign)
    const least = counts === null ? sign === '+' ? 1 : 0 : Number(counts[1])
    const most = counts === null ? sign === '?' ? 1 : Infinity : counts[2] === '' ? least : counts[3] === '' ? Infinity : Number(counts[3])
    const repeated = Array.from({ length: least }, () => element).flat()
    if (most === Infinity || most > 2000) {
      const loop: Element[][] = [[]]
      const rule = this.#make(loop)
      loop.unshift([...element, rule])
      return [...repeated, rule]
    }
    let rest: Element[] = []
    for (let count = least; count < most; count++) rest = [this.#make([[...element, ...rest], []])]
    return [...repeated, ...rest]
  }
}
