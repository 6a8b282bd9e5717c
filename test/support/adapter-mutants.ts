import { Buffer } from 'node:buffer'
import type { Random } from '../../src/domain/random.ts'

/** What a byte of a LoRA GGUF is for, as far as its change can be judged. */
interface Range {
  readonly start: number
  readonly end: number
  readonly kind:
    /** Anything may stand there. */
    | 'free'
    /** Letters of a key that may have any other name. */
    | 'free-key'
    /** A 32-bit float that must be finite. */
    | 'float'
    /** The type of a value of four bytes that nobody reads. */
    | 'free-type'
    /** Nothing else may stand there. */
    | 'fixed'
}

export interface Mutant {
  readonly description: string
  readonly bytes: Buffer
  /** Whether llama.cpp can use the file all the same. */
  readonly isValid: boolean
}

interface Layout {
  readonly ranges: readonly Range[]
  readonly keyCount: number
  /** Positions of all lengths of texts. */
  readonly lengths: readonly number[]
  /** Positions of tensors' entries behind their names, where the number of dimensions is. */
  readonly tensors: readonly { readonly name: number, readonly nameLength: number, readonly shape: number, readonly offset: number }[]
  readonly headerEnd: number
  readonly dataStart: number
}

const neededTexts = new Set(['general.architecture', 'general.type', 'adapter.type'])

/** Walks an intact LoRA GGUF of two-dimensional F16 tensors after the format's description, and says what each byte is for. */
function walk (bytes: Buffer): Layout {
  const ranges: Range[] = []
  const lengths: number[] = []
  let at = 0
  const mark = (length: number, kind: Range['kind']): number => {
    ranges.push({ start: at, end: at + length, kind })
    at += length
    return at - length
  }
  const length = (): number => {
    lengths.push(at)
    return Number(bytes.readBigUInt64LE(mark(8, 'fixed')))
  }
  mark(8, 'fixed')
  const tensorCount = Number(bytes.readBigUInt64LE(mark(8, 'fixed')))
  const keyCount = Number(bytes.readBigUInt64LE(mark(8, 'fixed')))
  for (let index = 0; index < keyCount; index++) {
    const keyLength = length()
    const key = bytes.toString('latin1', at, at + keyLength)
    const isNeeded = neededTexts.has(key)
    mark(keyLength, isNeeded ? 'fixed' : 'free-key')
    const type = bytes.readUInt32LE(at)
    const isAlpha = key === 'adapter.lora.alpha'
    mark(4, type === 8 || isAlpha ? 'fixed' : 'free-type')
    if (type === 8) mark(length(), isNeeded ? 'fixed' : 'free')
    else if (type === 4 || type === 6) mark(4, isAlpha ? 'float' : 'free')
    else throw new Error(`The type ${type} is not expected in ${key}`)
  }
  const tensors = Array.from({ length: tensorCount }, () => {
    const nameLength = length()
    const name = mark(nameLength, 'fixed')
    const shape = mark(4 + 16, 'fixed')
    mark(4, 'fixed')
    return { name, nameLength, shape, offset: mark(8, 'fixed') }
  })
  const headerEnd = at
  mark(Math.ceil(at / 32) * 32 - at, 'free')
  return { ranges, keyCount, lengths, tensors, headerEnd, dataStart: at }
}

/** Sizes and counts that hostile files claim to have. */
const hugeNumbers = [2n ** 31n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 62n, 2n ** 63n, 2n ** 64n - 1n]

/** Types of GGUF values that take four bytes. */
const fourByteTypes = new Set([4, 5, 6])

/**
 * Makes broken files of an intact one, and a few that are not: each with what must become of it.
 * @param perKind how many of each of the twelve kinds
 */
export function createMutants (intact: Buffer, random: Random, perKind: number): readonly Mutant[] {
  const layout = walk(intact)
  const pick = <Item>(items: readonly Item[]): Item => items[random.below(items.length)] as Item
  const below = (limit: number): number => random.below(limit)
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(intact)
    change(bytes)
    return bytes
  }
  const setU64 = (position: number, value: bigint) => changed((bytes) => { bytes.writeBigUInt64LE(value, position) })

  const kinds: ReadonlyArray<() => Mutant> = [
    () => {
      const end = random.below(2) === 0 ? below(layout.dataStart) : layout.dataStart + below(intact.length - layout.dataStart)
      return { description: `cut at byte ${end}`, bytes: intact.subarray(0, end), isValid: false }
    },
    () => {
      const { shape } = pick(layout.tensors)
      const position = shape + 4 + 8 * below(2)
      const old = intact.readBigUInt64LE(position)
      const value = pick([0n, old - 1n, old + 1n, old * 2n, old / 2n])
      return { description: `length ${old} of a shape is ${value}`, bytes: setU64(position, value), isValid: false }
    },
    () => {
      const { shape } = pick(layout.tensors)
      const a = intact.readBigUInt64LE(shape + 4)
      const b = intact.readBigUInt64LE(shape + 12)
      return {
        description: `shape ${a} × ${b} is turned round`,
        bytes: changed((bytes) => {
          bytes.writeBigUInt64LE(b, shape + 4)
          bytes.writeBigUInt64LE(a, shape + 12)
        }),
        isValid: a === b
      }
    },
    () => {
      const { name, nameLength } = pick(layout.tensors)
      const position = name + below(nameLength)
      const letter = pick([...'abcdefghijklmnopqrstuvwxyz0123456789._ \0\n\u00FF'].filter((character) => character.charCodeAt(0) !== intact[position]))
      return { description: `letter ${position - name} of a tensor's name is ${JSON.stringify(letter)}`, bytes: changed((bytes) => { bytes[position] = letter.charCodeAt(0) }), isValid: false }
    },
    () => {
      const [one, other] = [pick(layout.tensors), pick(layout.tensors)]
      const isSame = one === other
      return {
        description: 'a tensor has the name of another',
        bytes: changed((bytes) => { if (one.nameLength === other.nameLength) intact.copy(bytes, one.name, other.name, other.name + other.nameLength); else bytes[one.name] = 0 }),
        isValid: isSame
      }
    },
    () => {
      const position = pick([8, 16, ...layout.lengths])
      const value = pick(hugeNumbers)
      return { description: `the count at ${position} is ${value}`, bytes: setU64(position, value), isValid: false }
    },
    () => {
      const { shape } = pick(layout.tensors)
      const position = shape + 4 + 8 * below(2)
      const value = pick(hugeNumbers)
      return { description: `a length of a shape is ${value}`, bytes: setU64(position, value), isValid: false }
    },
    () => {
      const { offset } = pick(layout.tensors)
      const value = pick([1n, 32n, intact.readBigUInt64LE(offset) + 32n, ...hugeNumbers].filter((candidate) => candidate !== intact.readBigUInt64LE(offset)))
      return { description: `an offset is ${value}`, bytes: setU64(offset, value), isValid: false }
    },
    () => ({ description: 'random bytes', bytes: Buffer.from(Array.from({ length: below(4096) }, () => below(256))), isValid: false }),
    () => {
      const position = below(layout.dataStart)
      const bit = below(8)
      const bytes = changed((copy) => { copy[position] = (copy[position] ?? 0) ^ (1 << bit) })
      return { description: `bit ${bit} of byte ${position} is flipped`, bytes, isValid: isValidFlip(bytes, position, layout) }
    },
    () => {
      const position = layout.dataStart + 2 * below((intact.length - layout.dataStart) / 2)
      const value = pick([0x7C00, 0xFC00, 0x7E00, 0xFFFF, 0x7BFF, 0xFBFF, 0x0001])
      return {
        description: `the weight at ${position} is ${value.toString(16)}`,
        bytes: changed((copy) => { copy.writeUInt16LE(value, position) }),
        isValid: (value & 0x7FFF) < 0x7C00
      }
    },
    () => ({ description: 'more bytes at the end', bytes: Buffer.concat([intact, Buffer.alloc(1 + below(100), 0xFF)]), isValid: true })
  ]
  return kinds.flatMap((kind) => Array.from({ length: perKind }, kind))
}

function isValidFlip (bytes: Buffer, position: number, { ranges }: Layout): boolean {
  const range = ranges.find(({ start, end }) => position >= start && position < end)
  if (range === undefined) throw new Error(`Byte ${position} is not of the header`)
  switch (range.kind) {
    case 'free': return true
    case 'free-key': return (bytes[position] ?? 0) >= 0x20 && (bytes[position] ?? 0) < 0x7F
    case 'float': return Number.isFinite(bytes.readFloatLE(range.start))
    case 'free-type': return fourByteTypes.has(bytes.readUInt32LE(range.start))
    case 'fixed': return false
  }
}
