import type { AdapterFacts, AdapterLimits } from '../adapter-facts.ts'
import type { BaseModel } from './base-model.ts'
import { ggufType, type GgufHeader, type GgufTensorInfo } from './gguf-header.ts'
import { printable, type Refuse } from './refusal.ts'
import { weightType, weightTypeNames } from './weight-types.ts'

/** A matrix of an adapter's file, with its place in it. */
export interface WeightRange {
  readonly name: string
  readonly type: number
  /** From the beginning of the file, in bytes. */
  readonly position: number
  readonly sizeBytes: number
}

interface Pair {
  readonly target: string
  readonly a: GgufTensorInfo
  readonly b: GgufTensorInfo
}

/**
 * Checks what llama.cpp checks when it loads a LoRA file (llama-adapter.cpp), and what it takes for granted and would end
 * its process over, or leave out in silence.
 * @param base null to check the file in itself only.
 */
export function checkHeader (header: GgufHeader, sizeBytes: number, base: BaseModel | null, limits: AdapterLimits, refuse: Refuse): {
  readonly facts: AdapterFacts
  readonly ranges: readonly WeightRange[]
} {
  const { architecture, name, alpha } = checkMetadata(header, base, refuse)
  const ranges = checkLayout(header, sizeBytes, refuse)
  const pairs = pairUp(header, refuse)
  let rank = 0
  for (const pair of pairs) {
    const pairRank = pair.b.shape[0]
    checkPair(pair, base, refuse)
    if (pairRank > limits.maxRank) throw refuse(`has rank ${pairRank} at ${pair.target}; the limit is ${limits.maxRank}`)
    rank = Math.max(rank, pairRank)
  }
  const weightBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0)
  return { facts: { format: 'gguf', name, architecture, rank, alpha, targetCount: pairs.length, sizeBytes: weightBytes }, ranges }
}

function checkMetadata (header: GgufHeader, base: BaseModel | null, refuse: Refuse): Pick<AdapterFacts, 'name' | 'alpha'> & { readonly architecture: string } {
  const kind = text(header, 'general.type', refuse)
  if (kind !== 'adapter') {
    throw refuse(kind === null || kind === 'model' ? 'is no adapter but a model' : `is no adapter: its general.type is "${printable(kind)}", not "adapter"`)
  }
  const type = text(header, 'adapter.type', refuse)
  if (type !== 'lora') throw refuse(`is ${type === null ? 'of no known kind' : `of the kind "${printable(type)}"`}; adapter.type must be "lora"`)
  const architecture = text(header, 'general.architecture', refuse)
  if (architecture === null) throw refuse('does not say for which architecture it is (general.architecture)')
  if (base !== null && architecture !== base.architecture) {
    throw refuse(`is for models of the architecture "${printable(architecture)}", but this model is of "${base.architecture}"`)
  }
  const alpha = header.metadata.get('adapter.lora.alpha')
  if (alpha !== undefined && alpha.type !== ggufType.float32) throw refuse('is damaged: adapter.lora.alpha must be a 32-bit floating-point number')
  const alphaValue = Number(alpha?.value ?? 0)
  if (!Number.isFinite(alphaValue)) throw refuse(`is damaged: adapter.lora.alpha is ${alphaValue}`)
  if (header.metadata.has('adapter.alora.invocation_tokens')) {
    throw refuse('is an activated LoRA (aLoRA), which works from its invocation tokens on; adapters are applied to whole sequences here, so it would give wrong answers')
  }
  const name = header.metadata.get('general.name')?.value
  return { architecture, alpha: alphaValue, name: typeof name === 'string' && name !== '' ? printable(name) : null }
}

function text (header: GgufHeader, key: string, refuse: Refuse): string | null {
  const entry = header.metadata.get(key)
  if (entry === undefined) return null
  if (typeof entry.value !== 'string') throw refuse(`is damaged: ${key} must be a text`)
  return entry.value
}

/** llama.cpp wants the tensors' data in the order of the header without gaps; so no two of them can overlap. */
function checkLayout (header: GgufHeader, sizeBytes: number, refuse: Refuse): readonly WeightRange[] {
  let expected = 0
  return header.tensors.map(({ name, shape, type, offset }) => {
    const known = weightType(type)
    if (known === null) throw refuse(`has the tensor ${printable(name)} in a type (number ${type}) that adapters cannot have; they can have ${weightTypeNames.join(', ')}`)
    if (shape[0] % known.elements !== 0) {
      throw refuse(`is damaged: the tensor ${printable(name)} has rows of ${shape[0]} numbers, but ${known.name} stores them in blocks of ${known.elements}`)
    }
    if (offset !== expected) throw refuse(`is damaged: the tensor ${printable(name)} begins at ${offset} in the data, expected at ${expected}`)
    const bytes = shape[0] * shape[1] * shape[2] * shape[3] / known.elements * known.bytes
    const position = header.dataOffset + offset
    if (position + bytes > sizeBytes) {
      throw refuse(`is truncated at ${sizeBytes} bytes: the tensor ${printable(name)} ends at byte ${position + bytes}`)
    }
    expected += Math.ceil(bytes / header.alignment) * header.alignment
    return { name, type, position, sizeBytes: bytes }
  })
}

function pairUp (header: GgufHeader, refuse: Refuse): readonly Pair[] {
  const halves = new Map<string, { a?: GgufTensorInfo, b?: GgufTensorInfo }>()
  for (const tensor of header.tensors) {
    const [, target, half] = /^(.+)\.lora_([ab])$/.exec(tensor.name) ?? []
    if (target === undefined || (half !== 'a' && half !== 'b')) {
      const isNorm = tensor.name.endsWith('_norm.weight')
      throw refuse(`has the tensor ${printable(tensor.name)}, which is no part of a LoRA (.lora_a or .lora_b)${isNorm ? '; norms that were trained along are left out by llama.cpp, so the adapter would not work as it was trained' : ''}`)
    }
    // llama.cpp keeps names in 64 bytes with the zero at their end.
    if (Buffer.byteLength(tensor.name) > 63) throw refuse(`has the tensor ${printable(tensor.name)}, whose name is longer than 63 bytes`)
    const pair = halves.get(target) ?? {}
    pair[half] = tensor
    halves.set(target, pair)
  }
  if (halves.size === 0) throw refuse('has no tensors, so it changes nothing')
  return [...halves].map(([target, { a, b }]) => {
    if (a === undefined || b === undefined) throw refuse(`has ${target}.lora_${a === undefined ? 'b' : 'a'} but not ${target}.lora_${a === undefined ? 'a' : 'b'}`)
    return { target, a, b }
  })
}

const nvfp4 = 40
/** Those of experts are computed elsewhere, with scales and adapters. */
const feedForwardWeight = /\.ffn_(up|gate|down)(_shexp)?\.weight$/

function checkPair (pair: Pair, base: BaseModel | null, refuse: Refuse): void {
  const target = printable(pair.target)
  const isEmbedding = pair.target === 'token_embd.weight'
  // Of the embeddings, rows of A are looked up by token, so A lies the other way round.
  const rankOfA = isEmbedding ? pair.a.shape[0] : pair.a.shape[1]
  if (rankOfA !== pair.b.shape[0]) throw refuse(`has ${target}.lora_a of rank ${rankOfA}, but ${target}.lora_b of rank ${pair.b.shape[0]}`)
  if (base === null) return

  const tensor = base.tensors.get(pair.target)
  if (tensor === undefined) throw refuse(`changes ${target}, which this model does not have; is it an adapter of another model?`)
  const { shape } = tensor
  // llama.cpp takes every name that ends like this for the embeddings, but adds adapters to those alone.
  if (pair.target.endsWith('token_embd.weight') && !isEmbedding) throw refuse(`changes ${target}, to which llama.cpp does not apply adapters`)
  if (shape[1] === 1) throw refuse(`changes ${target}, which is a vector in this model; adapters change matrices only`)
  if (isEmbedding && !base.tensors.has('output.weight')) {
    // It finds them by name in the output layer too, and ends its process over their shapes.
    throw refuse('changes token_embd.weight, but in this model the output layer has the same weights (they are tied), and llama.cpp cannot apply an adapter to them')
  }
  if (tensor.type === nvfp4 && feedForwardWeight.test(pair.target) && base.tensors.has(pair.target.replace(/weight$/, 'scale'))) {
    throw refuse(`changes ${target}, which this model has as NVFP4 with a scale; llama.cpp cannot apply adapters to those`)
  }
  const rank = pair.b.shape[0]
  const expectedA = isEmbedding ? [rank, shape[1], 1, 1] : [shape[0], rank, shape[2], shape[3]]
  const expectedB = isEmbedding ? [rank, shape[0], 1, 1] : [rank, shape[1], shape[2], shape[3]]
  for (const [half, expected] of [[pair.a, expectedA], [pair.b, expectedB]] as const) {
    if (half.shape.some((length, index) => length !== expected[index])) {
      throw refuse(`has ${printable(half.name)} of the shape ${shapeText(half.shape)}, but this model needs ${shapeText(expected)}; is it an adapter of another model?`)
    }
  }
}

/** As ggml writes it, the innermost length first. */
export function shapeText (shape: readonly number[]): string {
  const used = shape.findLastIndex((length) => length !== 1) + 1
  return shape.slice(0, Math.max(2, used)).join(' × ')
}
