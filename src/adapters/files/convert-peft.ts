import { basename } from 'node:path'
import type { AdapterFacts, AdapterLimits } from '../adapter-facts.ts'
import type { BaseModel } from './base-model.ts'
import { checkGgufAdapter } from './check-gguf-adapter.ts'
import { convertTensor } from './convert-tensor.ts'
import { familyNames, isFamily } from './peft-families.ts'
import { openPeftFolder } from './peft-folder.ts'
import { placeModules } from './peft-modules.ts'
import { planConversion } from './plan-conversion.ts'
import type { Refuse } from './refusal.ts'
import { writeAdapter } from './write-adapter.ts'

export interface ConvertPeftOptions {
  readonly base: BaseModel
  readonly limits: AdapterLimits
  readonly refuse: Refuse
  readonly signal: AbortSignal
}

/**
 * Makes a GGUF of a PEFT folder and checks the result like any other adapter, so that what comes out is what llama.cpp can load.
 * @param target the file to write; it appears whole or not at all
 */
export async function convertPeft (folder: string, target: string, { base, limits, refuse, signal }: ConvertPeftOptions): Promise<AdapterFacts> {
  if (!isFamily(base.architecture)) {
    throw refuse(`is a PEFT folder, and those can be used with models of the architectures ${familyNames.join(', ')}, but this one is of "${base.architecture}"; ` +
      'make a GGUF of it with convert_lora_to_gguf.py of llama.cpp')
  }
  const peft = await openPeftFolder(folder, base, limits, refuse)
  try {
    const { alpha, tensors } = planConversion(placeModules(peft.modules, base, refuse), peft.config, base, refuse)
    const content = {
      architecture: base.architecture,
      name: basename(folder),
      alpha,
      tensors: tensors.map((tensor) => ({ name: tensor.name, shape: tensor.shape, type: tensor.type, data: () => convertTensor(peft.handle, tensor, refuse) }))
    }
    let written: AdapterFacts | undefined
    await writeAdapter(target, content, async (path) => {
      written = await checkGgufAdapter(path, base, { ...limits, maxSizeBytes: Infinity }, refuse, signal)
    }, signal)
    return { ...peft.facts, architecture: base.architecture, targetCount: written?.targetCount ?? 0, sizeBytes: written?.sizeBytes ?? 0 }
  } finally {
    await peft.handle.close()
  }
}
