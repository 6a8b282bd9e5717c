import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ggufType } from './gguf-header.ts'
import { tensorSizeBytes } from '../../models/tensor-size.ts'

export interface AdapterContent {
  readonly architecture: string
  readonly name: string
  readonly alpha: number
  readonly tensors: readonly AdapterTensor[]
}

export interface AdapterTensor {
  readonly name: string
  /** The innermost length first. */
  readonly shape: readonly number[]
  readonly type: number
  /** Gives exactly the bytes that shape and type come to. */
  readonly data: () => AsyncIterable<Buffer>
}

const alignment = 32

/**
 * Writes a LoRA GGUF. It appears under its name only when it is whole and `check` was content with it; whatever happens
 * before, nothing stays behind.
 * @param check gets the path of the whole file before it has its name
 */
export async function writeAdapter (path: string, content: AdapterContent, check: (path: string) => Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const temporary = join(dirname(path), `.${randomUUID()}.part`)
  try {
    await writeContent(temporary, content, signal)
    await check(temporary)
    signal.throwIfAborted()
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function writeContent (path: string, content: AdapterContent, signal: AbortSignal): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    const write = async (bytes: Buffer): Promise<void> => {
      signal.throwIfAborted()
      for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done)).bytesWritten
    }
    await write(header(content))
    for (const { name, data, ...tensor } of content.tensors) {
      const wanted = sizeOf(tensor)
      let written = 0
      for await (const piece of data()) {
        await write(piece)
        written += piece.length
      }
      if (written !== wanted) throw new RangeError(`The tensor ${name} came to ${written} bytes, not ${wanted}`)
      await write(Buffer.alloc(padded(wanted) - wanted))
    }
  } finally {
    await handle.close()
  }
}

function header ({ architecture, name, alpha, tensors }: AdapterContent): Buffer {
  const entries = [
    textEntry('general.architecture', architecture),
    textEntry('general.type', 'adapter'),
    textEntry('general.name', name),
    textEntry('adapter.type', 'lora'),
    Buffer.concat([text('adapter.lora.alpha'), uint32(ggufType.float32), float32(alpha)])
  ]
  const parts = [Buffer.from('GGUF', 'latin1'), uint32(3), uint64(tensors.length), uint64(entries.length), ...entries]
  let offset = 0
  for (const tensor of tensors) {
    parts.push(text(tensor.name), uint32(tensor.shape.length), ...tensor.shape.map(uint64), uint32(tensor.type), uint64(offset))
    offset += padded(sizeOf(tensor))
  }
  const bytes = Buffer.concat(parts)
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)])
}

function sizeOf ({ type, shape }: Pick<AdapterTensor, 'type' | 'shape'>): number {
  const size = tensorSizeBytes(type, shape.reduce((product, length) => product * length, 1))
  if (size === null) throw new TypeError(`There is no type ${type}`)
  return size
}

const padded = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

const textEntry = (key: string, value: string): Buffer => Buffer.concat([text(key), uint32(ggufType.text), text(value)])

const text = (value: string): Buffer => Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)])

function uint32 (value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

function uint64 (value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt(value))
  return buffer
}

function float32 (value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeFloatLE(value)
  return buffer
}
