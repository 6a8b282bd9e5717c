import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'
import { readGgufFile } from '../models/gguf-file.ts'
import type { PrepareAdapter } from './adapter-facts.ts'

/** Checks that a file is a LoRA adapter whose header can be read; whether it fits its base is left to the engine. */
export const prepareGguf: PrepareAdapter = async (path, { limits, signal }) => {
  const file = await readGgufFile(path, 'The adapter file').catch((error: unknown) => {
    throw error instanceof StartupError ? new ServerError('invalid_adapter', error.message, { cause: error }) : error
  })
  signal.throwIfAborted()
  const { metadata, tensors, sizeBytes } = file
  if (metadata.get('general.type') !== 'adapter') throw new ServerError('invalid_adapter', `The adapter file ${path} is not a LoRA adapter`)
  if (sizeBytes > limits.maxSizeBytes) throw new ServerError('invalid_adapter', `The adapter file ${path} has ${sizeBytes} bytes; the limit is ${limits.maxSizeBytes}`)
  const text = (key: string): string | null => {
    const value = metadata.get(key)
    return typeof value === 'string' ? value : null
  }
  return {
    facts: {
      format: 'gguf',
      name: text('general.name'),
      architecture: text('general.architecture'),
      rank: 0,
      alpha: Number(metadata.get('adapter.lora.alpha') ?? 0),
      targetCount: tensors.filter(({ name }) => name.endsWith('.lora_a')).length,
      sizeBytes: tensors.reduce((sum, tensor) => sum + (tensor.sizeBytes ?? 0), 0)
    },
    file: { path }
  }
}
