import type { AdapterFacts, AdapterLimits } from '../adapter-facts.ts'
import type { BaseModel } from './base-model.ts'
import { checkHeader } from './check-header.ts'
import { checkWeights } from './check-weights.ts'
import { readGgufHeader } from './gguf-header.ts'
import { openFile } from './open-file.ts'
import type { Refuse } from './refusal.ts'
import { byteText } from '../../models/byte-text.ts'

const headerLimits = { maxBytes: 16 << 20, maxKeys: 1024, maxTensors: 16_384 }

/**
 * Checks a LoRA GGUF file wholly, header and weights.
 * @param base null to check the file in itself only.
 */
export async function checkGgufAdapter (path: string, base: BaseModel | null, limits: AdapterLimits, refuse: Refuse, signal: AbortSignal): Promise<AdapterFacts> {
  const { handle, sizeBytes } = await openFile(path, 'its file', refuse)
  try {
    if (sizeBytes > limits.maxSizeBytes) throw refuse(`has ${byteText(sizeBytes)}; the limit is ${byteText(limits.maxSizeBytes)}`)
    signal.throwIfAborted()
    const header = await readGgufHeader(handle, sizeBytes, headerLimits, refuse)
    const { facts, ranges } = checkHeader(header, sizeBytes, base, limits, refuse)
    await checkWeights(handle, ranges, refuse, signal)
    return facts
  } finally {
    await handle.close()
  }
}
