import type { Tensor } from './shape.ts'
import { buildGgufHeader, type GGUFTypedMetadata } from '@huggingface/gguf'
import { sizeBytesOf } from './shape.ts'

/** Tensors, and the header, end with zeros up to a multiple of so many bytes. */
export const alignment = 32

/** Everything before the first tensor's bytes, in version 3 of the format. The tensors follow in their order. */
export async function makeGgufHeader (metadata: Readonly<Record<string, GGUFTypedMetadata[string]>>, tensors: readonly Tensor[]): Promise<Buffer> {
  let offset = 0
  const descriptions = Buffer.concat(tensors.map((tensor) => {
    const description = describeTensor(tensor, offset)
    offset += paddedSize(sizeBytesOf(tensor))
    return description
  }))
  const header = await buildGgufHeader(new Blob([descriptions]), {
    version: { value: 3, type: 4 },
    tensor_count: { value: BigInt(tensors.length), type: 10 },
    kv_count: { value: BigInt(Object.keys(metadata).length), type: 10 },
    ...metadata
  }, { littleEndian: true, alignment, tensorInfoByteRange: [0, descriptions.length] })
  return Buffer.from(await header.arrayBuffer())
}

export const paddedSize = (bytes: number): number => Math.ceil(bytes / alignment) * alignment

function describeTensor ({ name, type, rowLength, rowCount }: Tensor, dataOffset: number): Buffer {
  const dimensions = rowCount === null ? [rowLength] : [rowLength, rowCount]
  const buffer = Buffer.alloc(8 + name.length + 4 + 8 * dimensions.length + 4 + 8)
  let offset = buffer.writeBigUInt64LE(BigInt(name.length))
  offset += buffer.write(name, offset, 'latin1')
  offset = buffer.writeUInt32LE(dimensions.length, offset)
  for (const dimension of dimensions) offset = buffer.writeBigUInt64LE(BigInt(dimension), offset)
  offset = buffer.writeUInt32LE(type.ggmlType, offset)
  buffer.writeBigUInt64LE(BigInt(dataOffset), offset)
  return buffer
}
