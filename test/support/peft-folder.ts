import { Buffer } from 'node:buffer'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gguf } from '@huggingface/gguf'

export type Dtype = 'F32' | 'F16' | 'BF16'

/** A matrix by its rows. */
export type Matrix = readonly (readonly number[])[]

export interface TensorDefinition {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data: Buffer
}

/** Writes a safetensors file after the format's description. Shares no code with the reader that is tested. */
export function writeSafetensors (tensors: Readonly<Record<string, TensorDefinition>>, metadata: Readonly<Record<string, string>> = { format: 'pt' }): Buffer {
  let offset = 0
  const entries: Record<string, unknown> = { __metadata__: metadata }
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    entries[name] = { dtype, shape, data_offsets: [offset, offset + data.length] }
    offset += data.length
  }
  const header = Buffer.from(JSON.stringify(entries))
  const padded = Buffer.concat([header, Buffer.alloc((8 - header.length % 8) % 8, ' ')])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return Buffer.concat([length, padded, ...Object.values(tensors).map(({ data }) => data)])
}

export function writePeft (folder: string, config: Readonly<Record<string, unknown>>, tensors: Readonly<Record<string, TensorDefinition>>): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA', r: 4, lora_alpha: 8, bias: 'none', ...config }))
  writeFileSync(join(folder, 'adapter_model.safetensors'), writeSafetensors(tensors))
  return folder
}

/** A stream of numbers that every one of the types can hold exactly: multiples of 1/32 up to 2. */
export function createNumbers (seed: number): () => number {
  let state = seed * 2654435761 >>> 0
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0
    return ((state >>> 16) % 129 - 64) / 32
  }
}

export function randomMatrix (rows: number, columns: number, next: () => number): Matrix {
  return Array.from({ length: rows }, () => Array.from({ length: columns }, next))
}

export function encode (matrix: Matrix, dtype: Dtype = 'F32'): TensorDefinition {
  const values = matrix.flat()
  const data = Buffer.alloc(values.length * (dtype === 'F32' ? 4 : 2))
  values.forEach((value, index) => {
    if (dtype === 'F32') data.writeFloatLE(value, index * 4)
    else data.writeUInt16LE(dtype === 'BF16' ? bfloat16(value) : float16(value), index * 2)
  })
  return { dtype, shape: [matrix.length, matrix[0]?.length ?? 0], data }
}

function bfloat16 (value: number): number {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes.readUInt16LE(2)
}

function float16 (value: number): number {
  if (value === 0) return 0
  const exponent = Math.floor(Math.log2(Math.abs(value)))
  return (value < 0 ? 0x8000 : 0) + ((exponent + 15) << 10) + (Math.abs(value) / 2 ** exponent - 1) * 1024
}

/** Multiplies B by A, as many times as `scale` says. */
export function product (b: Matrix, a: Matrix, scale: number): Matrix {
  return b.map((row) => (a[0] ?? []).map((_, column) => scale * row.reduce((sum, value, index) => sum + value * (a[index]?.[column] ?? NaN), 0)))
}

export interface ReadAdapter {
  readonly alpha: number
  readonly types: ReadonlyMap<string, number>
  readonly shapes: ReadonlyMap<string, readonly number[]>
  /** Rows of the matrices; of three-dimensional tensors, those of all matrices behind each other. */
  readonly matrices: ReadonlyMap<string, Matrix>
}

/** Reads a LoRA GGUF with somebody else's parser. */
export async function readAdapter (path: string): Promise<ReadAdapter> {
  const parsed = await gguf(path, { allowLocalFile: true })
  const bytes = readFileSync(path)
  const matrices = new Map(parsed.tensorInfos.map(({ name, shape, dtype, offset }) => {
    const [width = 0, ...rest] = shape.map(Number)
    const start = Number(parsed.tensorDataOffset) + Number(offset)
    const rows = rest.reduce((count, length) => count * length, 1)
    return [name, Array.from({ length: rows }, (_, row) => Array.from({ length: width }, (_, column) => decode(bytes, start, row * width + column, dtype)))] as const
  }))
  return {
    alpha: Number((parsed.metadata as Record<string, unknown>)['adapter.lora.alpha']),
    types: new Map(parsed.tensorInfos.map(({ name, dtype }) => [name, dtype])),
    shapes: new Map(parsed.tensorInfos.map(({ name, shape }) => [name, shape.map(Number)])),
    matrices
  }
}

function decode (bytes: Buffer, start: number, index: number, type: number): number {
  if (type === 0) return bytes.readFloatLE(start + index * 4)
  const bits = bytes.readUInt16LE(start + index * 2)
  if (type === 30) {
    const wide = Buffer.alloc(4)
    wide.writeUInt16LE(bits, 2)
    return wide.readFloatLE()
  }
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits & 0x7C00) >> 10
  const fraction = (bits & 0x3FF) / 1024
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15)
}

/** What llama.cpp adds to a matrix of the base for a pair: alpha / rank times B times A. */
export function changeOf ({ alpha, matrices, shapes }: ReadAdapter, target: string): Matrix {
  const a = matrices.get(`${target}.lora_a`)
  const b = matrices.get(`${target}.lora_b`)
  const rank = shapes.get(`${target}.lora_b`)?.[0]
  if (a === undefined || b === undefined || rank === undefined) throw new Error(`There is no ${target}`)
  return product(b, a, alpha / rank)
}
