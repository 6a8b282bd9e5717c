import type { FileHandle } from 'node:fs/promises'
import { readExactly } from './open-file.ts'
import { printable, type Refuse } from './refusal.ts'

/** A value with the type that it has in the file: llama.cpp ends its process over some that have another type. */
export interface GgufValue {
  /** Number of the type in GGUF; 9 for arrays. */
  readonly type: number
  /** Of an array's elements. */
  readonly elementType: number | null
  /** Null for long texts, arrays of texts and long arrays, which nobody here needs. */
  readonly value: string | number | boolean | readonly number[] | null
}

export interface GgufTensorInfo {
  readonly name: string
  /** Always four lengths, the innermost first; those that the file leaves out are 1. */
  readonly shape: readonly [number, number, number, number]
  /** Number of the type in ggml. */
  readonly type: number
  /** From `dataOffset`, in bytes. */
  readonly offset: number
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensorInfo[]
  readonly alignment: number
  /** Where the tensors' data begins. */
  readonly dataOffset: number
}

/** What a header may have at most. Both counts matter to llama.cpp too, which compares every name with all others. */
export interface GgufHeaderLimits {
  readonly maxBytes: number
  readonly maxKeys: number
  readonly maxTensors: number
}

export const ggufType = { uint32: 4, int32: 5, float32: 6, text: 8, array: 9 } as const

/** Bytes of the types of fixed size, by their number in GGUF. */
const typeBytes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }
const longestText = 65_536
const longestArray = 4096
const firstReadBytes = 1 << 20

/**
 * Reads the header of a GGUF file as strictly as llama.cpp does, and a little more: it reads no further than counts and
 * lengths can be true, allocates nothing for what a count promises, and refuses names that C would cut short.
 */
export async function readGgufHeader (handle: FileHandle, sizeBytes: number, limits: GgufHeaderLimits, refuse: Refuse): Promise<GgufHeader> {
  for (let length = Math.min(sizeBytes, firstReadBytes); ; length = Math.min(sizeBytes, length * 4)) {
    const header = parseGgufHeader(await readExactly(handle, 0, length, refuse), sizeBytes, limits, refuse)
    if (header !== null) return header
    if (length >= limits.maxBytes) throw refuse(`has a header of more than ${limits.maxBytes} bytes, which is the limit`)
  }
}

/** @returns null when `bytes`, the beginning of the file, does not hold the whole header. */
export function parseGgufHeader (bytes: Buffer, sizeBytes: number, limits: GgufHeaderLimits, refuse: Refuse): GgufHeader | null {
  try {
    return parse(new Cursor(bytes, sizeBytes, refuse), limits, refuse)
  } catch (error) {
    if (error instanceof NeedsMore) return null
    throw error
  }
}

function parse (cursor: Cursor, limits: GgufHeaderLimits, refuse: Refuse): GgufHeader {
  const { keyCount, tensorCount } = parseHead(cursor, limits, refuse)
  const metadata = new Map<string, GgufValue>()
  for (let index = 0; index < keyCount; index++) {
    const key = cursor.name('a key')
    if (metadata.has(key)) throw refuse(`is damaged: it has the key ${printable(key)} twice`)
    metadata.set(key, parseValue(cursor, key, refuse))
  }
  const alignment = alignmentOf(metadata, refuse)
  const tensors: GgufTensorInfo[] = []
  const names = new Set<string>()
  for (let index = 0; index < tensorCount; index++) {
    const tensor = parseTensor(cursor, refuse)
    if (names.has(tensor.name)) throw refuse(`is damaged: it has the tensor ${printable(tensor.name)} twice`)
    names.add(tensor.name)
    tensors.push(tensor)
  }
  return { metadata, tensors, alignment, dataOffset: Math.ceil(cursor.position / alignment) * alignment }
}

function parseHead (cursor: Cursor, limits: GgufHeaderLimits, refuse: Refuse): { readonly keyCount: number, readonly tensorCount: number } {
  if (cursor.sizeBytes < 24) throw refuse(cursor.sizeBytes === 0 ? 'is empty' : `is not a GGUF file: it has only ${cursor.sizeBytes} bytes`)
  const magic = cursor.take(4, 'its first bytes').toString('latin1')
  if (magic !== 'GGUF') throw refuse(`is not a GGUF file: it does not begin with "GGUF"${magic.startsWith('PK') ? ' but is a zip archive or a PyTorch checkpoint' : ''}`)
  const version = cursor.uint32('its version')
  // A small number read with the wrong byte order has nothing in its low half.
  if (version !== 0 && (version & 0xFFFF) === 0) throw refuse('is a big-endian GGUF file, which this machine cannot use')
  if (version !== 2 && version !== 3) throw refuse(`has version ${version} of the GGUF format; versions 2 and 3 can be read`)
  const tensorCount = cursor.uint64('the number of tensors')
  const keyCount = cursor.uint64('the number of keys')
  if (tensorCount > limits.maxTensors) throw refuse(`says it has ${tensorCount} tensors; the limit is ${limits.maxTensors}`)
  if (keyCount > limits.maxKeys) throw refuse(`says it has ${keyCount} keys; the limit is ${limits.maxKeys}`)
  return { keyCount, tensorCount }
}

function parseValue (cursor: Cursor, key: string, refuse: Refuse): GgufValue {
  const type = cursor.uint32('the type of a value')
  if (type !== ggufType.array) return { type, elementType: null, value: parseScalar(cursor, type, key, refuse) }
  const elementType = cursor.uint32('the type of an array')
  const length = cursor.uint64('the length of an array')
  if (elementType === ggufType.text) {
    cursor.skipTexts(length, `the ${length} texts of ${key}`)
    return { type, elementType, value: null }
  }
  const bytes = typeBytes[elementType]
  if (bytes === undefined) throw refuse(`is damaged: ${printable(key)} is an array of the unknown type ${elementType}`)
  cursor.expect(length * bytes, `the ${length} values of ${key}`)
  if (length > longestArray) {
    cursor.skip(length * bytes, `the values of ${key}`)
    return { type, elementType, value: null }
  }
  return { type, elementType, value: Array.from({ length }, () => Number(parseScalar(cursor, elementType, key, refuse))) }
}

function parseScalar (cursor: Cursor, type: number, key: string, refuse: Refuse): string | number | boolean | null {
  if (type === ggufType.text) {
    const length = cursor.uint64(`the length of ${key}`)
    const bytes = cursor.take(length, key)
    return length > longestText ? null : bytes.toString('utf8')
  }
  const size = typeBytes[type]
  if (size === undefined) throw refuse(`is damaged: ${printable(key)} has the unknown type ${type}`)
  const bytes = cursor.take(size, key)
  switch (type) {
    case 0: return bytes.readUInt8()
    case 1: return bytes.readInt8()
    case 2: return bytes.readUInt16LE()
    case 3: return bytes.readInt16LE()
    case 4: return bytes.readUInt32LE()
    case 5: return bytes.readInt32LE()
    case 6: return bytes.readFloatLE()
    case 7: return bytes.readInt8() !== 0
    case 10: return Number(bytes.readBigUInt64LE())
    case 11: return Number(bytes.readBigInt64LE())
    default: return bytes.readDoubleLE()
  }
}

function parseTensor (cursor: Cursor, refuse: Refuse): GgufTensorInfo {
  const name = cursor.name('a tensor')
  const dimensions = cursor.uint32(`the dimensions of ${name}`)
  if (dimensions > 4) throw refuse(`is damaged: the tensor ${printable(name)} has ${dimensions} dimensions; at most 4 are possible`)
  const shape: [number, number, number, number] = [1, 1, 1, 1]
  for (let index = 0; index < dimensions; index++) shape[index] = cursor.uint64(`the shape of ${name}`)
  const elements = shape.reduce((product, length) => product * length, 1)
  if (!(elements >= 1 && elements <= Number.MAX_SAFE_INTEGER / 64)) throw refuse(`is damaged: the tensor ${printable(name)} has the impossible shape ${shape.join(' × ')}`)
  return { name, shape, type: cursor.uint32(`the type of ${name}`), offset: cursor.uint64(`the offset of ${name}`) }
}

function alignmentOf (metadata: ReadonlyMap<string, GgufValue>, refuse: Refuse): number {
  const entry = metadata.get('general.alignment')
  if (entry === undefined) return 32
  const alignment = entry.type === ggufType.uint32 ? Number(entry.value) : 0
  if (!(alignment >= 1 && Number.isInteger(Math.log2(alignment)))) {
    throw refuse('is damaged: general.alignment must be a power of two in a 32-bit unsigned integer')
  }
  return alignment
}

/** The header goes on behind the bytes at hand. */
class NeedsMore extends Error {}

class Cursor {
  readonly sizeBytes: number
  readonly #bytes: Buffer
  readonly #refuse: Refuse
  #position = 0

  constructor (bytes: Buffer, sizeBytes: number, refuse: Refuse) {
    this.#bytes = bytes
    this.sizeBytes = sizeBytes
    this.#refuse = refuse
  }

  get position (): number {
    return this.#position
  }

  /** Refuses what the file cannot have, whether or not it is at hand. */
  expect (length: number, what: string): void {
    if (this.#position + length > this.sizeBytes) {
      throw this.#refuse(`is damaged or truncated at ${this.sizeBytes} bytes: ${printable(what)} would end at byte ${this.#position + length}`)
    }
  }

  take (length: number, what: string): Buffer {
    const start = this.#position
    this.skip(length, what)
    return this.#bytes.subarray(start, start + length)
  }

  skip (length: number, what: string): void {
    this.expect(length, what)
    if (this.#position + length > this.#bytes.length) throw new NeedsMore()
    this.#position += length
  }

  /** A vocabulary is some 100,000 of them, so nothing is made for each. */
  skipTexts (count: number, what: string): void {
    this.expect(count * 8, what)
    for (let index = 0; index < count; index++) {
      const start = this.#position
      if (start + 8 > this.#bytes.length) this.skip(8, what)
      this.#position = start + 8
      this.skip(this.#bytes.readUInt32LE(start) + this.#bytes.readUInt32LE(start + 4) * 2 ** 32, what)
    }
  }

  uint32 (what: string): number {
    return this.take(4, what).readUInt32LE()
  }

  /** Numbers too large to be exact stay large, so every check that they pass through refuses them. */
  uint64 (what: string): number {
    return Number(this.take(8, what).readBigUInt64LE())
  }

  /** A key or a tensor's name. C would end it at a zero byte, and see another name than this does. */
  name (what: string): string {
    const length = this.uint64(`the length of the name of ${what}`)
    if (length === 0 || length > longestText) throw this.#refuse(`is damaged: ${what} has a name of ${length} bytes`)
    const name = this.take(length, `the name of ${what}`).toString('utf8')
    if (/[\p{Cc}\uFFFD]/u.test(name)) throw this.#refuse(`is damaged: ${what} has the name "${printable(name)}"`)
    return name
  }
}
