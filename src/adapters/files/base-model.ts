import { basename } from 'node:path'
import { ServerError } from '../../domain/errors.ts'
import { readGgufHeader, type GgufHeader, type GgufTensorInfo } from './gguf-header.ts'
import { openFile } from './open-file.ts'
import type { Refuse } from './refusal.ts'

/** What an adapter must fit. */
export interface BaseModel {
  readonly architecture: string
  readonly tensors: ReadonlyMap<string, Pick<GgufTensorInfo, 'shape' | 'type'>>
  /** Attention heads, and those of keys and values: one number for all layers, or one for each. */
  readonly headCounts: readonly number[]
  readonly keyValueHeadCounts: readonly number[]
}

/** A vocabulary of 300,000 tokens with its merges takes some 20 MB. */
const limits = { maxBytes: 256 << 20, maxKeys: 100_000, maxTensors: 1_000_000 }

/**
 * Reads the names, shapes and types of a model's tensors out of all its parts.
 * @throws ServerError `engine_error` when they cannot be read: the files were fine when the model was started.
 */
export async function readBaseModel (paths: readonly string[]): Promise<BaseModel> {
  const headers: GgufHeader[] = []
  for (const path of paths) headers.push(await readHeader(path))
  const [first] = headers
  const architecture = first?.metadata.get('general.architecture')?.value
  if (first === undefined || typeof architecture !== 'string') {
    throw new ServerError('engine_error', 'The model cannot be compared with the adapter: its file does not name its architecture')
  }
  const headCounts = numbers(first, `${architecture}.attention.head_count`)
  const keyValueHeadCounts = numbers(first, `${architecture}.attention.head_count_kv`)
  return {
    architecture,
    tensors: new Map(headers.flatMap(({ tensors }) => tensors.map((tensor) => [tensor.name, tensor] as const))),
    headCounts,
    keyValueHeadCounts: keyValueHeadCounts.length === 0 ? headCounts : keyValueHeadCounts
  }
}

async function readHeader (path: string): Promise<GgufHeader> {
  const refuse: Refuse = (problem, cause) => new ServerError('engine_error', `The model file ${basename(path)} ${problem}`, { cause })
  const { handle, sizeBytes } = await openFile(path, 'it', refuse)
  try {
    return await readGgufHeader(handle, sizeBytes, limits, refuse)
  } finally {
    await handle.close()
  }
}

function numbers (header: GgufHeader, key: string): readonly number[] {
  const value = header.metadata.get(key)?.value
  if (typeof value === 'number') return [value]
  return typeof value === 'object' && value !== null ? value : []
}
