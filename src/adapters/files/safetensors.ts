import type { FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { readExactly } from './open-file.ts'
import { printable, type Refuse } from './refusal.ts'

export interface SafeTensor {
  readonly name: string
  /** As the file writes it: `F32`, `BF16`. */
  readonly dtype: string
  /** As PyTorch writes it, the outermost length first. */
  readonly shape: readonly number[]
  /** From the beginning of the file, in bytes. */
  readonly position: number
  readonly sizeBytes: number
}

/** Room for the names of some 100,000 tensors. */
const maxHeaderBytes = 16 << 20
const maxDimensions = 8

const dtypeBytes: Readonly<Record<string, number>> = {
  BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1, U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8
}

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(count).max(maxDimensions),
  data_offsets: z.tuple([count, count])
})

/**
 * Reads the header of a safetensors file as strictly as the format's own library: every byte of the data belongs to exactly
 * one tensor, whose size is what its type and shape come to.
 */
export async function readSafetensors (handle: FileHandle, sizeBytes: number, refuse: Refuse): Promise<readonly SafeTensor[]> {
  if (sizeBytes < 8) throw refuse(`is no safetensors file: it has only ${sizeBytes} bytes`)
  const headerBytes = Number((await readExactly(handle, 0, 8, refuse)).readBigUInt64LE())
  if (headerBytes > sizeBytes - 8) throw refuse('is damaged, truncated or no safetensors file: its header would end behind the file')
  if (headerBytes > maxHeaderBytes) throw refuse(`has a header of ${headerBytes} bytes; the limit is ${maxHeaderBytes}`)
  return parseSafetensors(await readExactly(handle, 8, headerBytes, refuse), sizeBytes, refuse)
}

/** @param header the JSON text between the header's length and the data. */
export function parseSafetensors (header: Buffer, sizeBytes: number, refuse: Refuse): readonly SafeTensor[] {
  const dataStart = 8 + header.length
  const tensors = Object.entries(parseJson(header, refuse)).filter(([name]) => name !== '__metadata__').map(([name, value]) => {
    const entry = entrySchema.safeParse(value)
    if (!entry.success) throw refuse(`is damaged: its entry of ${printable(name)} is not {dtype, shape, data_offsets}`)
    const { dtype, shape, data_offsets: [begin, end] } = entry.data
    const elementBytes = Object.hasOwn(dtypeBytes, dtype) ? dtypeBytes[dtype] : undefined
    if (elementBytes === undefined) throw refuse(`has ${printable(name)} in the unknown type ${printable(dtype)}`)
    const wanted = shape.reduce((product, length) => product * length, elementBytes)
    if (end - begin !== wanted) throw refuse(`is damaged: ${printable(name)} has ${end - begin} bytes of data, but its type and shape come to ${wanted}`)
    return { name, dtype, shape, position: dataStart + begin, sizeBytes: wanted }
  })
  tensors.sort((a, b) => a.position - b.position || a.sizeBytes - b.sizeBytes)
  let position = dataStart
  for (const tensor of tensors) {
    if (tensor.position !== position) throw refuse(`is damaged: the data of ${printable(tensor.name)} begins at byte ${tensor.position}, expected at ${position}`)
    position += tensor.sizeBytes
  }
  if (position !== sizeBytes) throw refuse(`is ${position > sizeBytes ? 'truncated' : 'damaged'}: its tensors end at byte ${position}, but the file at ${sizeBytes}`)
  return tensors
}

function parseJson (header: Buffer, refuse: Refuse): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header))
  } catch {
    // What the parser says quotes the file, which may be anything that a link led to.
    throw refuse('is damaged or no safetensors file: its header is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse('is damaged or no safetensors file: its header is no JSON object')
  return value as Record<string, unknown>
}
