import { parseGbnf, type GbnfElement, type GbnfGrammar, type GbnfTerminal } from '../llama-cpp/gbnf-parser.ts'

/** What is still to come: an element of a sequence, and what follows the sequence. The same object for the same rest. */
interface Stack {
  readonly sequence: readonly GbnfElement[]
  readonly index: number
  readonly below: Stack | null
  readonly id: number
}

/** A place in a grammar: all ways to go on, null among them where the text may end, and the bytes of a character that has begun. */
export interface GrammarPlace {
  readonly stacks: ReadonlySet<Stack | null>
  readonly begun: readonly number[]
}

/** Follows a GBNF grammar along the bytes of tokens, as llama.cpp does along their characters. */
export class GrammarWalk {
  readonly #grammar: GbnfGrammar
  readonly #interned = new Map<string, Stack>()
  readonly #numbers = new Map<readonly GbnfElement[], number>()
  readonly start: GrammarPlace

  /** @throws ServerError `invalid_grammar` */
  constructor (text: string) {
    this.#grammar = parseGbnf(text)
    this.start = { stacks: this.#expand((this.#grammar.rules.get('root')?.alternatives ?? []).map((sequence) => this.#stack(sequence, 0, null))), begun: [] }
  }

  /** Whether the text may end here. */
  mayEnd ({ stacks, begun }: GrammarPlace): boolean { return stacks.has(null) && begun.length === 0 }

  /** The place after some more bytes; null when the grammar does not allow them. */
  after (place: GrammarPlace, bytes: Uint8Array): GrammarPlace | null {
    let { stacks } = place
    let begun = [...place.begun]
    for (const byte of bytes) {
      begun.push(byte)
      const range = codePointsBegunBy(begun)
      if (range === null || !this.#allows(stacks, range)) return null
      if (range[0] !== range[1] || begun.length < lengthOf(begun[0]!)) continue
      stacks = this.#step(stacks, range[0])
      begun = []
    }
    return { stacks, begun }
  }

  #allows (stacks: GrammarPlace['stacks'], range: readonly [number, number]): boolean {
    return [...stacks].some((stack) => {
      const element = stack?.sequence[stack.index]
      return element?.type === 'terminal' && overlaps(element, range)
    })
  }

  #step (stacks: GrammarPlace['stacks'], point: number): ReadonlySet<Stack | null> {
    const after: (Stack | null)[] = []
    for (const stack of stacks) {
      const element = stack?.sequence[stack.index]
      if (stack !== null && element?.type === 'terminal' && overlaps(element, [point, point])) after.push(this.#next(stack))
    }
    return this.#expand(after)
  }

  #next ({ sequence, index, below }: Stack): Stack | null { return this.#stack(sequence, index + 1, below) }

  #stack (sequence: readonly GbnfElement[], index: number, below: Stack | null): Stack | null {
    if (index >= sequence.length) return below
    let number = this.#numbers.get(sequence)
    if (number === undefined) this.#numbers.set(sequence, number = this.#numbers.size)
    const key = `${number} ${index} ${below?.id ?? -1}`
    let stack = this.#interned.get(key)
    if (stack === undefined) this.#interned.set(key, stack = { sequence, index, below, id: this.#interned.size })
    return stack
  }

  /** Goes into rules until every way begins with a character. */
  #expand (stacks: Iterable<Stack | null>): ReadonlySet<Stack | null> {
    const open = new Set<Stack | null>()
    const seen = new Set<Stack | null>()
    const pending = [...stacks]
    for (let stack = pending.pop(); stack !== undefined; stack = pending.pop()) {
      if (seen.has(stack)) continue
      seen.add(stack)
      const element = stack === null ? undefined : stack.sequence[stack.index]
      if (stack === null || element?.type !== 'rule') {
        open.add(stack)
        continue
      }
      for (const sequence of this.#grammar.rules.get(element.name)?.alternatives ?? []) pending.push(this.#stack(sequence, 0, this.#next(stack)))
    }
    return open
  }
}

function overlaps ({ ranges, isNegated }: GbnfTerminal, [first, last]: readonly [number, number]): boolean {
  if (!isNegated) return ranges.some(([from, to]) => from <= last && first <= to)
  // A negated class lets a range through unless one of its ranges covers all of it.
  return !ranges.some(([from, to]) => from <= first && last <= to)
}

/** Bytes of a character in UTF-8 by its first one; 0 for what cannot be one. */
const lengthOf = (byte: number): number => byte < 0x80 ? 1 : byte < 0xc2 ? 0 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 0

/** The lowest and the highest character that begin with these bytes; null when none does. */
function codePointsBegunBy (bytes: readonly number[]): readonly [number, number] | null {
  const [lead = 0, ...rest] = bytes
  const length = lengthOf(lead)
  if (length === 0 || rest.some((byte) => byte < 0x80 || byte > 0xbf)) return null
  if (length === 1) return [lead, lead]
  let first = lead & (0xff >> (length + 1))
  let last = first
  for (let index = 0; index < length - 1; index++) {
    first = first << 6 | ((rest[index] ?? 0x80) & 0x3f)
    last = last << 6 | ((rest[index] ?? 0xbf) & 0x3f)
  }
  const shortest = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000
  first = Math.max(first, shortest)
  last = Math.min(last, 0x10ffff)
  const isSurrogate = length === 3 && first >= 0xd800 && last <= 0xdfff
  return first > last || isSurrogate ? null : [first, last]
}
