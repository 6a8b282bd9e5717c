import type { FileHandle } from 'node:fs/promises'
import { readExactly } from './open-file.ts'
import type { PlannedTensor } from './plan-conversion.ts'
import type { Refuse } from './refusal.ts'
import type { SafeTensor } from './safetensors.ts'
import { ggmlType } from './weight-types.ts'

const pieceBytes = 1 << 20

/** Makes the bytes of one tensor of a GGUF, in pieces of about a megabyte however large the tensor is. */
export async function * convertTensor (handle: FileHandle, { type, sources, order }: PlannedTensor, refuse: Refuse): AsyncGenerator<Buffer> {
  for (const { tensor, factor } of sources) {
    const pieces = order.type === 'same'
      ? samePieces(handle, tensor, refuse)
      : order.type === 'transposed' ? transposedPieces(handle, tensor, refuse) : interleavedPieces(handle, tensor, order.blockRows, refuse)
    // Only what is stored in another type than it had, or scaled, is decoded.
    const isKept = factor === 1 && (type !== ggmlType.f32 || tensor.dtype === 'F32')
    for await (const piece of pieces) yield isKept ? piece : toScaledFloat32(piece, tensor.dtype, factor)
  }
}

async function * samePieces (handle: FileHandle, { position, sizeBytes }: SafeTensor, refuse: Refuse): AsyncGenerator<Buffer> {
  for (let start = 0; start < sizeBytes; start += pieceBytes) {
    yield await readExactly(handle, position + start, Math.min(pieceBytes, sizeBytes - start), refuse)
  }
}

async function * interleavedPieces (handle: FileHandle, { position, sizeBytes, shape }: SafeTensor, blockRows: number, refuse: Refuse): AsyncGenerator<Buffer> {
  const rowBytes = sizeBytes / (shape[0] as number)
  const blockBytes = blockRows * rowBytes
  const half = blockRows / 2
  for (let start = 0; start < sizeBytes; start += blockBytes) {
    const block = await readExactly(handle, position + start, blockBytes, refuse)
    const result = Buffer.allocUnsafe(blockBytes)
    for (let row = 0; row < blockRows; row++) {
      const target = row < half ? row * 2 : (row - half) * 2 + 1
      block.copy(result, target * rowBytes, row * rowBytes, (row + 1) * rowBytes)
    }
    yield result
  }
}

async function * transposedPieces (handle: FileHandle, { position, sizeBytes, shape }: SafeTensor, refuse: Refuse): AsyncGenerator<Buffer> {
  const [rows, columns] = shape as [number, number]
  const elementBytes = sizeBytes / (rows * columns)
  const pieceColumns = Math.max(1, Math.floor(pieceBytes / (rows * elementBytes)))
  for (let first = 0; first < columns; first += pieceColumns) {
    const width = Math.min(pieceColumns, columns - first)
    const result = Buffer.allocUnsafe(width * rows * elementBytes)
    for (let row = 0; row < rows; row++) {
      const part = await readExactly(handle, position + (row * columns + first) * elementBytes, width * elementBytes, refuse)
      for (let column = 0; column < width; column++) {
        part.copy(result, (column * rows + row) * elementBytes, column * elementBytes, (column + 1) * elementBytes)
      }
    }
    yield result
  }
}

/** Little-endian bytes in, little-endian bytes out, as both formats have them. */
export function toScaledFloat32 (bytes: Buffer, dtype: string, factor: number): Buffer {
  const elementBytes = dtype === 'F32' ? 4 : 2
  const result = Buffer.allocUnsafe(bytes.length / elementBytes * 4)
  const decoder = new DataView(new ArrayBuffer(4))
  for (let index = 0; index * elementBytes < bytes.length; index++) {
    let value: number
    if (dtype === 'F32') {
      value = bytes.readFloatLE(index * 4)
    } else if (dtype === 'BF16') {
      // The upper half of an F32.
      decoder.setUint32(0, bytes.readUInt16LE(index * 2) << 16 >>> 0)
      value = decoder.getFloat32(0)
    } else {
      value = halfToNumber(bytes.readUInt16LE(index * 2))
    }
    result.writeFloatLE(value * factor, index * 4)
  }
  return result
}

/** IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction. */
function halfToNumber (bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1
  const exponent = bits >> 10 & 0x1F
  const fraction = bits & 0x3FF
  if (exponent === 0x1F) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}
