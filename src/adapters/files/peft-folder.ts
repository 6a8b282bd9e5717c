import type { FileHandle } from 'node:fs/promises'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileErrorText } from '../../domain/file-error-text.ts'
import { byteText } from '../../models/byte-text.ts'
import type { AdapterFacts, AdapterLimits } from '../adapter-facts.ts'
import type { BaseModel } from './base-model.ts'
import { openFile, readExactly } from './open-file.ts'
import { readPeftConfig, type PeftConfig } from './peft-config.ts'
import { placeOf } from './peft-families.ts'
import { pairModules, type PeftModule } from './peft-modules.ts'
import { readSafetensors, type SafeTensor } from './safetensors.ts'
import type { Refuse } from './refusal.ts'

/** An open PEFT folder; `handle` is that of its weights. */
export interface PeftFolder {
  readonly handle: FileHandle
  readonly config: PeftConfig
  readonly modules: readonly PeftModule[]
  readonly facts: AdapterFacts
}

const configName = 'adapter_config.json'
const weightsName = 'adapter_model.safetensors'
const maxConfigBytes = 1 << 20

/**
 * Opens a folder as PEFT's `save_pretrained` writes it, and checks it in itself.
 * @param base only to know copies of its embeddings; null takes every `base_layer.weight` of embeddings for one
 * @returns the caller closes `handle`
 */
export async function openPeftFolder (folder: string, base: BaseModel | null, limits: AdapterLimits, refuse: Refuse): Promise<PeftFolder> {
  await checkNames(folder, refuse)
  const config = readPeftConfig(await readConfig(folder, refuse), refuse)
  const { handle, sizeBytes } = await openFile(join(folder, weightsName), weightsName, refuse)
  try {
    if (sizeBytes > limits.maxSizeBytes) throw refuse(`has ${byteText(sizeBytes)}; the limit is ${byteText(limits.maxSizeBytes)}`)
    const tensors = await readSafetensors(handle, sizeBytes, refuse)
    const modules = pairModules(tensors, config, (module, tensor) => isBaseWeight(module, tensor, base), refuse)
    for (const { name, rank } of modules) {
      if (rank > limits.maxRank) throw refuse(`has rank ${rank} at ${name}; the limit is ${limits.maxRank}`)
    }
    return { handle, config, modules, facts: factsOf(config, modules) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function checkNames (folder: string, refuse: Refuse): Promise<void> {
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    throw refuse(`cannot be read: ${fileErrorText(error)}`, error)
  }
  if (!names.includes(configName)) throw refuse(`is a folder without ${configName}; it must be one that PEFT saved`)
  if (names.includes(weightsName)) return
  if (names.some((name) => /^adapter_model.*\.safetensors(\.index\.json)?$/.test(name))) {
    throw refuse(`has its weights in several files; save it as one ${weightsName} (save_pretrained with a larger max_shard_size)`)
  }
  if (names.includes('adapter_model.bin')) {
    throw refuse(`has its weights in adapter_model.bin, a format that can run code when it is read; save it as ${weightsName} (save_pretrained with safe_serialization=True)`)
  }
  throw refuse(`is a folder without ${weightsName}; it must be one that PEFT saved`)
}

async function readConfig (folder: string, refuse: Refuse): Promise<string> {
  const { handle, sizeBytes } = await openFile(join(folder, configName), configName, refuse)
  try {
    if (sizeBytes > maxConfigBytes) throw refuse(`has an ${configName} of ${byteText(sizeBytes)}; the limit is ${byteText(maxConfigBytes)}`)
    return (await readExactly(handle, 0, sizeBytes, refuse)).toString('utf8')
  } finally {
    await handle.close()
  }
}

/** PEFT saves the base's embeddings along with a LoRA of them. Copies of another size have more tokens than the base. */
function isBaseWeight (module: string, tensor: SafeTensor, base: BaseModel | null): boolean {
  if (!/(^|\.)(embed_tokens|lm_head)$/.test(module)) return false
  if (base === null) return true
  const place = placeOf(module, base.architecture)
  const shape = place === null ? undefined : base.tensors.get(place.target)?.shape
  return shape !== undefined && tensor.shape.length === 2 && tensor.shape[1] === shape[0] && tensor.shape[0] === shape[1]
}

function factsOf (config: PeftConfig, modules: readonly PeftModule[]): AdapterFacts {
  return {
    format: 'peft',
    name: null,
    architecture: null,
    rank: modules.reduce((most, { rank }) => Math.max(most, rank), 0),
    alpha: config.alpha,
    targetCount: modules.length,
    sizeBytes: modules.reduce((sum, { a, b }) => sum + a.sizeBytes + b.sizeBytes, 0)
  }
}
