import type { BaseModel } from './base-model.ts'
import { alphaOf, type PeftConfig } from './peft-config.ts'
import type { PlacedModule } from './peft-modules.ts'
import type { Refuse } from './refusal.ts'
import type { SafeTensor } from './safetensors.ts'
import { ggmlType } from './weight-types.ts'

/** A tensor of the GGUF that is made, and how it comes from those of the PEFT file. */
export interface PlannedTensor {
  readonly name: string
  /** The innermost length first. */
  readonly shape: readonly number[]
  readonly type: number
  /** One, or one of each expert, which lie behind each other. */
  readonly sources: readonly { readonly tensor: SafeTensor, readonly factor: number }[]
  /**
   * How the rows of each source are laid out anew. `interleaved`: in each block of so many rows, row i of the first half and
   * row i of the second become neighbours. `transposed`: rows become columns.
   */
  readonly order: { readonly type: 'same' } | { readonly type: 'transposed' } | { readonly type: 'interleaved', readonly blockRows: number }
}

export interface ConversionPlan {
  readonly alpha: number
  readonly tensors: readonly PlannedTensor[]
}

const typeOf: Readonly<Record<string, number>> = { F32: ggmlType.f32, F16: ggmlType.f16, BF16: ggmlType.bf16 }

/**
 * Plans a GGUF out of PEFT's modules.
 *
 * A GGUF has one alpha, and llama.cpp scales each pair of matrices by alpha / rank, with the pair's own rank. PEFT scales by the
 * module's alpha / rank, or alpha / √rank (rsLoRA). So a module wants the alpha that its own scale times its rank comes to; the
 * one that most modules want goes into the file, and B of the others is multiplied by what is left.
 */
export function planConversion (modules: readonly PlacedModule[], config: PeftConfig, base: BaseModel, refuse: Refuse): ConversionPlan {
  const wantedAlpha = (module: PlacedModule): number =>
    Math.fround(alphaOf(config, module.name) * (config.usesRootOfRank ? Math.sqrt(module.rank) : 1))
  const alpha = mostFrequent(modules.map(wantedAlpha))
  const byTarget = new Map<string, PlacedModule[]>()
  for (const module of modules) byTarget.set(module.place.target, [...byTarget.get(module.place.target) ?? [], module])
  const tensors = [...byTarget].flatMap(([target, members]) => {
    const { place, rank, a, b } = checkMembers(target, members, base, refuse)
    const isEmbedding = target === 'token_embd.weight'
    const [inputs, outputs] = [a.shape[1] as number, b.shape[0] as number]
    const experts = place.expert === null ? [] : [members.length]
    const aSources = members.map((member) => ({ tensor: member.a, factor: 1 }))
    const bSources = members.map((member) => ({ tensor: member.b, factor: wantedAlpha(member) / alpha }))
    return [
      {
        name: `${target}.lora_a`,
        shape: isEmbedding ? [rank, inputs] : [inputs, rank, ...experts],
        type: storedType(aSources),
        sources: aSources,
        order: { type: isEmbedding ? 'transposed' as const : 'same' as const }
      },
      { name: `${target}.lora_b`, shape: [rank, outputs, ...experts], type: storedType(bSources), sources: bSources, order: orderOfRows(target, members, base, refuse) }
    ]
  })
  return { alpha, tensors }
}

/** One module for each target; of experts all of them, in their order. */
function checkMembers (target: string, members: PlacedModule[], base: BaseModel, refuse: Refuse): PlacedModule {
  members.sort((a, b) => (a.place.expert ?? 0) - (b.place.expert ?? 0))
  const [first, second] = members as [PlacedModule, ...PlacedModule[]]
  if (first.place.expert === null) {
    if (second !== undefined) throw refuse(`has both ${first.name} and ${second.name}, which are ${target} of this model alike`)
    return first
  }
  const expertCount = base.tensors.get(target)?.shape[2] ?? 1
  members.forEach(({ name, place, rank }, index) => {
    if (place.expert !== index) throw refuse(`lacks a LoRA of expert ${index} at ${target}, or has one twice (there is ${name}); llama.cpp keeps those of all experts together, so all or none must have one`)
    if (rank !== first.rank) throw refuse(`has rank ${rank} at ${name}, but ${first.rank} at ${first.name}; llama.cpp keeps those of all experts together, so their ranks must be equal`)
  })
  if (members.length !== expertCount) throw refuse(`has a LoRA of ${members.length} experts at ${target}, but this model has ${expertCount}; all or none must have one`)
  return first
}

function orderOfRows (target: string, [module]: readonly PlacedModule[], base: BaseModel, refuse: Refuse): PlannedTensor['order'] {
  const place = module?.place
  if (module === undefined || place === undefined || place.rotates === null) return { type: 'same' }
  const counts = place.rotates === 'queries' ? base.headCounts : base.keyValueHeadCounts
  const heads = counts.length === 1 ? counts[0] : counts[place.layer ?? 0]
  const rows = module.b.shape[0] as number
  if (heads === undefined || heads < 1 || rows % (heads * 2) !== 0) {
    throw refuse(`cannot be converted: the model's ${target} has ${rows} rows, which its ${heads ?? 0} heads do not share evenly`)
  }
  return { type: 'interleaved', blockRows: rows / heads }
}

/** As in the PEFT file where nothing is computed, so that nothing is lost; else F32. */
function storedType (sources: PlannedTensor['sources']): number {
  const [first] = sources
  const isSame = sources.every(({ tensor, factor }) => factor === 1 && tensor.dtype === first?.tensor.dtype)
  return isSame ? typeOf[first?.tensor.dtype ?? ''] ?? ggmlType.f32 : ggmlType.f32
}

function mostFrequent (values: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].reduce((best, next) => next[1] > best[1] ? next : best)[0]
}
