import { z } from 'zod'
import { printable, type Refuse } from './refusal.ts'

/** Names modules by the end of their name (`layers.0.self_attn.q_proj`), or by all of it. */
interface AlphaPattern {
  readonly name: string
  readonly isWhole: boolean
  readonly alpha: number
}

/** What a PEFT LoRA's `adapter_config.json` says that its weights do not. */
export interface PeftConfig {
  readonly rank: number
  readonly alpha: number
  /** Alphas of modules that have their own. */
  readonly alphaPatterns: readonly AlphaPattern[]
  /** Whether ranks differ; what they are, the weights' shapes say. */
  readonly hasRankPattern: boolean
  /** Divide alpha by the root of the rank, not by the rank. */
  readonly usesRootOfRank: boolean
  /** Ends of the names of the modules that may have weights; null when it is not a list of names. */
  readonly targetModules: readonly string[] | null
  readonly layers: readonly number[] | null
}

/** Loose: trainers add keys of their own, and what adds weights shows in the weights' names. */
const schema = z.looseObject({
  peft_type: z.string(),
  r: z.number().int().min(1),
  lora_alpha: z.number(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  rank_pattern: z.record(z.string(), z.number().int().min(1)).nullish(),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
  layers_to_transform: z.union([z.number().int(), z.array(z.number().int())]).nullish()
})

/** `false` and what is empty switch an option off. */
const isActive = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== false && value !== 'none' && !(typeof value === 'object' && Object.keys(value).length === 0)

const retrain = 'train without it, or merge the adapter into the model and convert that'

/** Options that change what a LoRA computes in a way that llama.cpp cannot follow, and what to do about each. */
const unsupported: Readonly<Record<string, string>> = {
  use_dora: `DoRA, whose magnitudes llama.cpp does not know; ${retrain}`,
  bias: `biases, which llama.cpp does not take from adapters; ${retrain}`,
  lora_bias: `biases of LoRA's B, which llama.cpp does not know; ${retrain}`,
  modules_to_save: `whole modules that were trained along, which llama.cpp does not take from adapters; ${retrain}`,
  trainable_token_indices: `embeddings of single tokens that were trained along; ${retrain}`,
  target_parameters: `parameters that are no modules; ${retrain}`,
  layer_replication: 'layers that stand in the model several times; merge the adapter into the model and convert that',
  fan_in_fan_out: 'weights that lie the other way round (Conv1D, as in GPT-2), which none of the supported models has',
  alora_invocation_tokens: 'an activated LoRA (aLoRA), which works from its invocation tokens on; adapters are applied to whole sequences here',
  use_qalora: `QALoRA, which pools its inputs; ${retrain}`,
  use_bdlora: `block-diagonal matrices; ${retrain}`
}

/** Ways to begin training that leave the base as it is. The others move a part of it into the adapter. */
const harmlessBeginnings: readonly unknown[] = [undefined, null, true, false, 'gaussian', 'eva', 'orthogonal']

/**
 * Reads an `adapter_config.json`, and refuses by name what cannot be done.
 * @throws what `refuse` makes of it
 */
export function readPeftConfig (json: string, refuse: Refuse): PeftConfig {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw refuse('cannot be used: adapter_config.json is not JSON')
  }
  const type = typeof value === 'object' && value !== null && 'peft_type' in value ? value.peft_type : undefined
  if (typeof type !== 'string') throw refuse('cannot be used: adapter_config.json has no peft_type; is it a folder that PEFT saved?')
  if (type !== 'LORA') throw refuse(`is of the kind ${printable(type)}; of PEFT's adapters only LORA can be used`)
  const parsed = schema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw refuse(`cannot be used: ${issue?.path.join('.') ?? 'something'} in adapter_config.json is wrong: ${issue?.message ?? ''}`)
  }
  const config = parsed.data
  for (const [option, reason] of Object.entries(unsupported)) {
    if (isActive(config[option])) throw refuse(`cannot be used: ${option} in adapter_config.json means ${reason}`)
  }
  const beginning = config['init_lora_weights']
  if (!harmlessBeginnings.includes(beginning)) {
    throw refuse(`cannot be used: init_lora_weights in adapter_config.json is "${printable(String(beginning))}", so the adapter belongs to a changed base model; ` +
      'save it with path_initial_model_for_weight_conversion, which makes it one of the original')
  }
  const { layers_to_transform: layers, target_modules: targets } = config
  return {
    rank: config.r,
    alpha: checkAlpha(config.lora_alpha, 'lora_alpha', refuse),
    alphaPatterns: Object.entries(config.alpha_pattern ?? {}).map(([pattern, alpha]) =>
      ({ name: moduleName(pattern, refuse), isWhole: pattern.startsWith('^'), alpha: checkAlpha(alpha, 'alpha_pattern', refuse) })),
    hasRankPattern: isActive(config.rank_pattern),
    usesRootOfRank: isActive(config['use_rslora']),
    targetModules: Array.isArray(targets) ? targets : null,
    layers: typeof layers === 'number' ? [layers] : layers ?? null
  }
}

/** llama.cpp takes an alpha of 0 for none, and the adapter at full strength. */
function checkAlpha (alpha: number, key: string, refuse: Refuse): number {
  if (alpha === 0 || !Number.isFinite(Math.fround(alpha))) throw refuse(`cannot be used: ${key} in adapter_config.json is ${alpha}; it must be a number other than 0`)
  return alpha
}

/**
 * Patterns are regular expressions, and whose folder it is may not be trusted with ones that never end. The names that PEFT
 * writes itself are plain.
 */
function moduleName (pattern: string, refuse: Refuse): string {
  const name = pattern.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\.', '.')
  if (!/^[\w.]+$/.test(name)) throw refuse(`cannot be used: alpha_pattern in adapter_config.json has the regular expression "${printable(pattern)}"; only names of modules are supported there`)
  return name
}

/** @returns the alpha of a module by its full name (`model.layers.0.self_attn.q_proj`). The first pattern that fits wins, as in PEFT. */
export function alphaOf (config: PeftConfig, module: string): number {
  const pattern = config.alphaPatterns.find(({ name, isWhole }) => module === name || (!isWhole && module.endsWith(`.${name}`)))
  return pattern?.alpha ?? config.alpha
}
