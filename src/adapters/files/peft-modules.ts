import { shapeText } from './check-header.ts'
import type { BaseModel } from './base-model.ts'
import type { PeftConfig } from './peft-config.ts'
import { placeOf, type ModulePlace } from './peft-families.ts'
import { printable, type Refuse } from './refusal.ts'
import type { SafeTensor } from './safetensors.ts'

/** The two matrices of a module, as PEFT saves them: A of rank × inputs, B of outputs × rank. */
export interface PeftModule {
  /** Its name in the model, as `model.layers.0.self_attn.q_proj`. */
  readonly name: string
  readonly rank: number
  readonly a: SafeTensor
  readonly b: SafeTensor
}

export interface PlacedModule extends PeftModule {
  readonly place: ModulePlace
}

/**
 * Pairs a PEFT file's tensors up by module. Needs no base model.
 * @param isBaseWeight whether a tensor is only a copy of the base's weights of a module, which PEFT saves along with embeddings
 */
export function pairModules (tensors: readonly SafeTensor[], config: PeftConfig, isBaseWeight: (module: string, tensor: SafeTensor) => boolean, refuse: Refuse): readonly PeftModule[] {
  const halves = new Map<string, { A?: SafeTensor, B?: SafeTensor }>()
  for (const tensor of tensors) {
    const name = tensor.name.replace(/^base_model\.model\./, '')
    const [, of, plain, embedding] = /^(.+)\.lora_(?:([AB])\.weight|embedding_([AB]))$/.exec(name) ?? []
    const side = plain ?? embedding
    if (of === undefined || (side !== 'A' && side !== 'B')) {
      const baseModule = /^(.+)\.base_layer\.weight$/.exec(name)?.[1]
      if (baseModule !== undefined && isBaseWeight(baseModule, tensor)) continue
      throw refuse(`has the tensor ${printable(tensor.name)}, ${reasonAgainst(name)}`)
    }
    if ((embedding !== undefined) !== /(^|\.)embed_tokens$/.test(of)) throw refuse(`has the tensor ${printable(tensor.name)}: LoRA of an embedding where there is none, or none where there is one`)
    const pair = halves.get(of) ?? {}
    if (pair[side] !== undefined) throw refuse(`has ${printable(tensor.name)} twice, with and without base_model.model in front`)
    pair[side] = tensor
    halves.set(of, pair)
  }
  if (halves.size === 0) throw refuse('has no LoRA weights in adapter_model.safetensors')
  return [...halves].map(([name, { A, B }]) => {
    if (A === undefined || B === undefined) throw refuse(`has LoRA's ${A === undefined ? 'B' : 'A'} of ${printable(name)}, but not its ${A === undefined ? 'A' : 'B'}`)
    const rank = A.shape[0] ?? 0
    if (A.shape.length !== 2 || B.shape.length !== 2 || rank === 0 || B.shape[1] !== rank) {
      throw refuse(`has A of ${printable(name)} of the shape [${A.shape.join(', ')}] and B of [${B.shape.join(', ')}]; expected [rank, inputs] and [outputs, rank]`)
    }
    checkAgainstConfig(name, rank, config, refuse)
    for (const tensor of [A, B]) {
      if (!/^(F32|F16|BF16)$/.test(tensor.dtype)) throw refuse(`has ${printable(tensor.name)} in ${printable(tensor.dtype)}; weights must be F32, F16 or BF16`)
    }
    return { name, rank, a: A, b: B }
  })
}

function reasonAgainst (name: string): string {
  if (name.includes('lora_magnitude_vector')) return 'which belongs to DoRA; llama.cpp does not know its magnitudes'
  if (/\.lora_[AB]\.bias$/.test(name)) return 'a bias, which llama.cpp does not take from adapters'
  if (name.includes('modules_to_save')) return 'a whole module that was trained along, which llama.cpp does not take from adapters'
  if (/\.lora_(embedding_)?[AB]\./.test(name)) return 'which is named as in a training checkpoint; save the adapter with save_pretrained of PEFT'
  if (/norm/.test(name)) return 'a norm that was trained along, which llama.cpp does not take from adapters'
  if (/(embed_tokens|lm_head)/.test(name)) return 'whole embeddings, as saved when tokens were added to the vocabulary or embeddings were trained; merge the adapter into the model and convert that'
  return 'which is no part of a LoRA'
}

function checkAgainstConfig (module: string, rank: number, config: PeftConfig, refuse: Refuse): void {
  const name = printable(module)
  if (!config.hasRankPattern && rank !== config.rank) throw refuse(`has weights of rank ${rank} at ${name}, but r in adapter_config.json is ${config.rank}`)
  if (config.targetModules?.every((target) => module !== target && !module.endsWith(`.${target}`)) === true) {
    throw refuse(`has weights of ${name}, which target_modules in adapter_config.json does not name`)
  }
  const layer = /\.layers\.(\d+)\./.exec(module)?.[1]
  if (config.layers !== null && layer !== undefined && !config.layers.includes(Number(layer))) {
    throw refuse(`has weights of ${name}, whose layer layers_to_transform in adapter_config.json does not name`)
  }
}

/** Finds the modules in a base model and compares their shapes. */
export function placeModules (modules: readonly PeftModule[], base: BaseModel, refuse: Refuse): readonly PlacedModule[] {
  return modules.map((module) => {
    const name = printable(module.name)
    const place = placeOf(module.name, base.architecture)
    if (place === null) throw refuse(`changes ${name}, which is no matrix of the language model that a ${base.architecture} model has here`)
    const shape = base.tensors.get(place.target)?.shape
    if (shape === undefined) {
      throw refuse(`changes ${name}, but this model has no ${place.target}${place.target === 'output.weight' ? ' (its output layer has the weights of its embeddings)' : ''}; is it an adapter of another model?`)
    }
    const [inputs, outputs] = place.target === 'token_embd.weight' ? [shape[1], shape[0]] : [shape[0], shape[1]]
    if (module.a.shape[1] !== inputs || module.b.shape[0] !== outputs) {
      throw refuse(`has A of ${name} of the shape [${module.a.shape.join(', ')}] and B of [${module.b.shape.join(', ')}], but this model needs [${module.rank}, ${inputs}] and ` +
        `[${outputs}, ${module.rank}] (its ${place.target} is ${shapeText(shape)}); is it an adapter of another model?`)
    }
    return { ...module, place }
  })
}
