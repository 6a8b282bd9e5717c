/** Where a module of a Hugging Face model is in a GGUF. */
export interface ModulePlace {
  /** Name of the GGUF's tensor. */
  readonly target: string
  readonly layer: number | null
  /** Of modules of which each expert has one, whose matrices lie behind each other in one tensor. */
  readonly expert: number | null
  /** Whose rows are pairs that rotate together, so that their order differs. */
  readonly rotates: 'queries' | 'keys' | null
}

/**
 * The architectures whose PEFT adapters can be read, as GGUF names them, and how their rows for rotary embeddings lie. Hugging
 * Face's models rotate the first half of a head against the second; llama.cpp rotates neighbours in those that are
 * `interleaved`, for which the conversion of the model reorders the rows of Q and K.
 */
const families: Readonly<Record<string, 'interleaved' | 'halves'>> = {
  llama: 'interleaved',
  mistral3: 'interleaved',
  qwen2: 'halves',
  qwen2moe: 'halves',
  qwen3: 'halves',
  qwen3moe: 'halves',
  gemma: 'halves',
  gemma2: 'halves',
  gemma3: 'halves'
}

export const familyNames = Object.keys(families)

export const isFamily = (architecture: string): boolean => Object.hasOwn(families, architecture)

/** Modules of a layer, by their name in it. */
const layerModules: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  'mlp.gate': 'ffn_gate_inp',
  'block_sparse_moe.gate': 'ffn_gate_inp',
  'mlp.shared_expert.gate_proj': 'ffn_gate_shexp',
  'mlp.shared_expert.up_proj': 'ffn_up_shexp',
  'mlp.shared_expert.down_proj': 'ffn_down_shexp'
}

const expertModules: Readonly<Record<string, string>> = {
  gate_proj: 'ffn_gate_exps', up_proj: 'ffn_up_exps', down_proj: 'ffn_down_exps', w1: 'ffn_gate_exps', w3: 'ffn_up_exps', w2: 'ffn_down_exps'
}

/**
 * Finds a module of a Hugging Face model in the GGUF of one of the families.
 * @param module for example `model.layers.3.self_attn.q_proj`
 * @returns null when the family has no such module in its language model
 */
export function placeOf (module: string, architecture: string): ModulePlace | null {
  // The language models within models that also see have one or two more parts in front.
  const name = module.replace(/^(model\.)?language_model\./, '').replace(/^model\./, '')
  if (name === 'embed_tokens') return { target: 'token_embd.weight', layer: null, expert: null, rotates: null }
  if (name === 'lm_head') return { target: 'output.weight', layer: null, expert: null, rotates: null }
  const { layer, rest } = /^layers\.(?<layer>\d{1,5})\.(?<rest>.+)$/.exec(name)?.groups ?? {}
  if (layer === undefined || rest === undefined) return null
  const place = (target: string) => ({ target: `blk.${Number(layer)}.${target}.weight`, layer: Number(layer), expert: null, rotates: null })

  const { expert, part } = /^(?:mlp|block_sparse_moe)\.experts\.(?<expert>\d{1,5})\.(?<part>\w+)$/.exec(rest)?.groups ?? {}
  if (expert !== undefined && part !== undefined) {
    const target = Object.hasOwn(expertModules, part) ? expertModules[part] : undefined
    return target === undefined ? null : { ...place(target), expert: Number(expert) }
  }
  const target = Object.hasOwn(layerModules, rest) ? layerModules[rest] : undefined
  if (target === undefined) return null
  const isInterleaved = families[architecture] === 'interleaved'
  return { ...place(target), rotates: !isInterleaved ? null : target === 'attn_q' ? 'queries' : target === 'attn_k' ? 'keys' : null }
}
