import { Buffer } from 'node:buffer'

export type GgufValue = string | number | boolean | readonly string[] | readonly number[] | readonly boolean[] | { readonly float32: number }

export interface GgufTensorDefinition {
  readonly name: string
  readonly shape: readonly number[]
  /** Number of the type in ggml; 0 is F32. */
  readonly type?: number
  /** Its data, as zeros; by default what it takes in F32. */
  readonly sizeBytes?: number
}

export interface GgufDefinition {
  readonly metadata?: Readonly<Record<string, GgufValue>>
  readonly tensors?: readonly GgufTensorDefinition[]
  readonly version?: number
}

const alignment = 32

/**
 * Writes a GGUF file after the format's specification, with zeros for F32 weights. Made for tests: it shares no code with
 * the reader that is tested. Numbers become unsigned 32-bit integers.
 */
export function writeGguf ({ metadata = {}, tensors = [], version = 3 }: GgufDefinition): Buffer {
  const entries = Object.entries(metadata)
  const parts: Buffer[] = [Buffer.from('GGUF', 'latin1'), u32(version), u64(tensors.length), u64(entries.length)]
  for (const [key, value] of entries) parts.push(text(key), typed(value))
  let dataBytes = 0
  for (const { name, shape, type = 0, sizeBytes = shape.reduce((product, length) => product * length, 4) } of tensors) {
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(dataBytes))
    dataBytes += padded(sizeBytes)
  }
  const header = Buffer.concat(parts)
  return Buffer.concat([header, Buffer.alloc(padded(header.length) - header.length + dataBytes)])
}

const padded = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

function u32 (value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

function u64 (value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt(value))
  return buffer
}

const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)])

const typeOf = (value: string | number | boolean): number => typeof value === 'string' ? 8 : typeof value === 'boolean' ? 7 : 4

const raw = (value: string | number | boolean): Buffer =>
  typeof value === 'string' ? text(value) : typeof value === 'boolean' ? Buffer.from([value ? 1 : 0]) : u32(value)

function typed (value: GgufValue): Buffer {
  if (typeof value !== 'object') return Buffer.concat([u32(typeOf(value)), raw(value)])
  if ('float32' in value) {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(value.float32)
    return Buffer.concat([u32(6), bytes])
  }
  const items: readonly (string | number | boolean)[] = value
  return Buffer.concat([u32(9), u32(typeOf(items[0] ?? 0)), u64(items.length), ...items.map(raw)])
}

/** The smallest file that counts as a model: a llama of 2 layers, width 64, 4 heads of 16 and 2 KV heads. */
export function tinyModel (metadata: Readonly<Record<string, GgufValue>> = {}, architecture = 'llama'): Buffer {
  return writeGguf({
    metadata: {
      'general.architecture': architecture,
      'general.type': 'model',
      [`${architecture}.block_count`]: 2,
      [`${architecture}.context_length`]: 4096,
      [`${architecture}.embedding_length`]: 64,
      [`${architecture}.feed_forward_length`]: 128,
      [`${architecture}.attention.head_count`]: 4,
      [`${architecture}.attention.head_count_kv`]: 2,
      'tokenizer.ggml.tokens': ['a', 'b', 'c'],
      ...metadata
    },
    tensors: [{ name: 'token_embd.weight', shape: [64, 3] }, { name: 'output_norm.weight', shape: [64] }]
  })
}
