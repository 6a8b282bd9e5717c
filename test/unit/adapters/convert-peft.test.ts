import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prepareAdapter } from '../../../src/adapters/files/prepare-adapter.ts'
import { sizes, writeBaseModel, type BaseModelOptions } from '../../support/base-model.ts'
import {
  changeOf, createNumbers, encode, product, randomMatrix, readAdapter, writePeft, type Dtype, type Matrix, type ReadAdapter, type TensorDefinition
} from '../../support/peft-folder.ts'

const demo = join(import.meta.dirname, '../../../models/demo')
const limits = { maxRank: 64, maxSizeBytes: 1 << 24 }
const signal = new AbortController().signal

let directory = ''
let made = 0
beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'drawbridge-peft-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

const { width, heads, keyValueHeads, headWidth, feedForward, vocabulary } = sizes

/** Modules of a layer with what goes in and comes out. */
const modules = {
  'self_attn.q_proj': ['attn_q', width, heads * headWidth],
  'self_attn.k_proj': ['attn_k', width, keyValueHeads * headWidth],
  'self_attn.v_proj': ['attn_v', width, keyValueHeads * headWidth],
  'self_attn.o_proj': ['attn_output', heads * headWidth, width],
  'mlp.gate_proj': ['ffn_gate', width, feedForward],
  'mlp.up_proj': ['ffn_up', width, feedForward],
  'mlp.down_proj': ['ffn_down', feedForward, width]
} as const

interface Lora { readonly a: Matrix, readonly b: Matrix }

/** Random matrices of modules, and the tensors that PEFT would save of them. */
class RandomPeft {
  readonly loras = new Map<string, Lora>()
  readonly tensors: Record<string, TensorDefinition> = {}
  readonly #next: () => number

  constructor (seed: number) {
    this.#next = createNumbers(seed)
  }

  add (module: string, inputs: number, outputs: number, rank: number, dtype: Dtype = 'F32'): void {
    const lora = { a: randomMatrix(rank, inputs, this.#next), b: randomMatrix(outputs, rank, this.#next) }
    this.loras.set(module, lora)
    const [a, b] = module.endsWith('embed_tokens') ? ['lora_embedding_A', 'lora_embedding_B'] : ['lora_A.weight', 'lora_B.weight']
    this.tensors[`base_model.model.${module}.${a}`] = encode(lora.a, dtype)
    this.tensors[`base_model.model.${module}.${b}`] = encode(lora.b, dtype)
  }

  addLayers (prefix: string, rank: number, dtype: Dtype): void {
    for (const layer of [0, 1]) {
      for (const [module, [, inputs, outputs]] of Object.entries(modules)) this.add(`${prefix}layers.${layer}.${module}`, inputs, outputs, rank, dtype)
    }
  }

  /** What PEFT adds to the module's weights. */
  change (module: string, scale: number): Matrix {
    const lora = this.loras.get(module)
    if (lora === undefined) throw new Error(`There is no ${module}`)
    return product(lora.b, lora.a, scale)
  }
}

async function convert (peft: RandomPeft, config: Record<string, unknown> = {}, base: BaseModelOptions = {}): Promise<ReadAdapter & { readonly facts: unknown }> {
  const folder = join(directory, String(made++))
  const path = writePeft(join(folder, 'tuned'), config, peft.tensors)
  const model = join(folder, 'base.gguf')
  writeFileSync(model, writeBaseModel(base))
  const { facts, file } = await prepareAdapter(path, { modelPaths: [model], limits, folder, signal })
  expect(readdirSync(folder)).toHaveLength(3)
  return { ...await readAdapter(file.path), facts }
}

const apply = (matrix: Matrix, vector: readonly number[]): number[] => matrix.map((row) => row.reduce((sum, value, index) => sum + value * (vector[index] ?? NaN), 0))

/** Rotates pairs of a head by position, the way the model's family does: `pair` gives the two places of pair number i. */
function rotate (head: readonly number[], position: number, pair: (index: number) => readonly [number, number]): number[] {
  const result = [...head]
  for (let index = 0; index < headWidth / 2; index++) {
    const [first, second] = pair(index)
    const angle = position * 10_000 ** (-2 * index / headWidth)
    const [x, y] = [head[first] ?? NaN, head[second] ?? NaN]
    result[first] = x * Math.cos(angle) - y * Math.sin(angle)
    result[second] = x * Math.sin(angle) + y * Math.cos(angle)
  }
  return result
}

const halves = (index: number): readonly [number, number] => [index, index + headWidth / 2]
const neighbours = (index: number): readonly [number, number] => [2 * index, 2 * index + 1]
const headsOf = (vector: readonly number[]): number[][] => Array.from({ length: vector.length / headWidth }, (_, head) => vector.slice(head * headWidth, (head + 1) * headWidth))
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, value, index) => sum + value * (b[index] ?? NaN), 0)

function expectClose (actual: Matrix, expected: Matrix): void {
  expect(actual.length).toBe(expected.length)
  actual.forEach((row, index) => {
    expect(row.length).toBe(expected[index]?.length)
    row.forEach((value, column) => { expect(value).toBeCloseTo(expected[index]?.[column] ?? NaN, 4) })
  })
}

describe.each([
  ['llama', 'model.', 'F32', neighbours],
  ['llama', 'model.', 'BF16', neighbours],
  ['mistral3', 'model.language_model.', 'F16', neighbours],
  ['qwen2', 'model.', 'F16', halves],
  ['qwen3', 'model.', 'BF16', halves],
  ['gemma', 'model.', 'F32', halves],
  ['gemma2', 'model.', 'BF16', halves],
  ['gemma3', 'language_model.model.', 'F16', halves]
] as const)('a PEFT adapter of a %s model (%s, %s)', (architecture, prefix, dtype, pairs) => {
  const peft = new RandomPeft(architecture.length * 7 + dtype.length)
  peft.addLayers(prefix, 4, dtype)
  const scale = 8 / 4
  let adapter: ReadAdapter & { readonly facts: unknown }
  beforeAll(async () => { adapter = await convert(peft, {}, { architecture }) })

  it('is what its folder says', () => {
    expect(adapter.facts).toEqual({
      format: 'peft',
      name: null,
      architecture,
      rank: 4,
      alpha: 8,
      targetCount: 14,
      sizeBytes: Object.values(peft.tensors).reduce((sum, { data }) => sum + data.length, 0)
    })
    expect(new Set(adapter.types.values())).toEqual(new Set([{ F32: 0, F16: 1, BF16: 30 }[dtype]]))
    expect(adapter.matrices.size).toBe(28)
  })

  it('changes what does not rotate exactly as PEFT does', () => {
    for (const layer of [0, 1]) {
      for (const [module, [target]] of Object.entries(modules)) {
        if (target === 'attn_q' || target === 'attn_k') continue
        expectClose(changeOf(adapter, `blk.${layer}.${target}.weight`), peft.change(`${prefix}layers.${layer}.${module}`, scale))
      }
    }
  })

  it('gives queries and keys that rotate to the same scores', () => {
    const next = createNumbers(99)
    for (const layer of [0, 1]) {
      for (const [queryPosition, keyPosition] of [[0, 0], [3, 1], [17, 5]] as const) {
        const [x, y] = [Array.from({ length: width }, next), Array.from({ length: width }, next)]
        const theirQueries = headsOf(apply(peft.change(`${prefix}layers.${layer}.self_attn.q_proj`, scale), x))
        const theirKeys = headsOf(apply(peft.change(`${prefix}layers.${layer}.self_attn.k_proj`, scale), y))
        const ourQueries = headsOf(apply(changeOf(adapter, `blk.${layer}.attn_q.weight`), x))
        const ourKeys = headsOf(apply(changeOf(adapter, `blk.${layer}.attn_k.weight`), y))
        for (let head = 0; head < heads; head++) {
          const keyHead = Math.floor(head / (heads / keyValueHeads))
          const theirs = dot(rotate(theirQueries[head] ?? [], queryPosition, halves), rotate(theirKeys[keyHead] ?? [], keyPosition, halves))
          const ours = dot(rotate(ourQueries[head] ?? [], queryPosition, pairs), rotate(ourKeys[keyHead] ?? [], keyPosition, pairs))
          expect(ours).toBeCloseTo(theirs, 2)
          // The base's own rows lie in this order, so the adapter's have to, pair by pair.
          for (let index = 0; index < headWidth / 2; index++) {
            const [ours1, ours2] = pairs(index).map((place) => rotate(ourQueries[head] ?? [], queryPosition, pairs)[place])
            const [theirs1, theirs2] = halves(index).map((place) => rotate(theirQueries[head] ?? [], queryPosition, halves)[place])
            expect(ours1).toBeCloseTo(theirs1 ?? NaN, 3)
            expect(ours2).toBeCloseTo(theirs2 ?? NaN, 3)
          }
        }
      }
    }
  })
})

describe('scales', () => {
  const query = 'model.layers.0.self_attn.v_proj'
  const output = 'model.layers.1.self_attn.o_proj'
  const up = 'model.layers.0.mlp.up_proj'
  function mixed (): RandomPeft {
    const peft = new RandomPeft(5)
    peft.add(query, width, keyValueHeads * headWidth, 4)
    peft.add(output, heads * headWidth, width, 8)
    peft.add(up, width, feedForward, 2, 'BF16')
    return peft
  }

  it.each([
    ['ranks of their own', { rank_pattern: { 'layers.1.self_attn.o_proj': 8, up_proj: 2 } }, [8 / 4, 8 / 8, 8 / 2]],
    ['alphas of their own', { rank_pattern: { o_proj: 8, up_proj: 2 }, alpha_pattern: { '^model.layers.1.self_attn.o_proj$': 12, 'mlp\\.up_proj': 3, '^v_proj': 100 } }, [8 / 4, 12 / 8, 3 / 2]],
    ['the root of the rank', { rank_pattern: { o_proj: 8, up_proj: 2 }, use_rslora: true }, [8 / Math.sqrt(4), 8 / Math.sqrt(8), 8 / Math.sqrt(2)]],
    ['all of them, and an alpha below 0', { lora_alpha: -3, rank_pattern: { o_proj: 8, up_proj: 2 }, alpha_pattern: { o_proj: 5 }, use_rslora: true }, [-3 / Math.sqrt(4), 5 / Math.sqrt(8), -3 / Math.sqrt(2)]]
  ])('with %s', async (_, config, [first, second, third]) => {
    const peft = mixed()
    const adapter = await convert(peft, config)
    expectClose(changeOf(adapter, 'blk.0.attn_v.weight'), peft.change(query, first ?? NaN))
    expectClose(changeOf(adapter, 'blk.1.attn_output.weight'), peft.change(output, second ?? NaN))
    expectClose(changeOf(adapter, 'blk.0.ffn_up.weight'), peft.change(up, third ?? NaN))
  })

  it('stay out of the weights where one alpha serves all', async () => {
    const peft = new RandomPeft(6)
    peft.addLayers('model.', 4, 'F16')
    const adapter = await convert(peft, { use_rslora: true })
    expect(adapter.alpha).toBe(16)
    expect(adapter.matrices.get('blk.0.ffn_up.weight.lora_b')).toEqual(peft.loras.get(up)?.b)
  })
})

describe('embeddings, the output layer and experts', () => {
  it('turns A of embeddings round, and takes the output layer as it is', async () => {
    const peft = new RandomPeft(8)
    peft.add('model.embed_tokens', vocabulary, width, 4)
    peft.add('lm_head', width, vocabulary, 4)
    // PEFT saves the embeddings themselves along.
    peft.tensors['base_model.model.model.embed_tokens.base_layer.weight'] = encode(randomMatrix(vocabulary, width, createNumbers(1)))
    const adapter = await convert(peft)
    const { a, b } = peft.loras.get('model.embed_tokens') ?? { a: [], b: [] }
    const rows = adapter.matrices.get('token_embd.weight.lora_a') ?? []
    // llama.cpp looks a token's row of A up and multiplies it with B.
    for (const token of [0, 1, vocabulary - 1]) {
      expect(apply(adapter.matrices.get('token_embd.weight.lora_b') ?? [], rows[token] ?? [])).toEqual(apply(b, a.map((row) => row[token] ?? NaN)))
    }
    expectClose(changeOf(adapter, 'output.weight'), peft.change('lm_head', 2))
  })

  it.each([
    ['llama', 'block_sparse_moe', ['w1', 'w3', 'w2']],
    ['qwen3moe', 'mlp', ['gate_proj', 'up_proj', 'down_proj']]
  ] as const)('puts the experts of a %s model behind each other', async (architecture, block, [gate, up, down]) => {
    const peft = new RandomPeft(9)
    for (const expert of [2, 0, 1]) {
      const prefix = `model.layers.1.${block}.experts.${expert}`
      peft.add(`${prefix}.${gate}`, width, feedForward, 4)
      peft.add(`${prefix}.${up}`, width, feedForward, 4)
      peft.add(`${prefix}.${down}`, feedForward, width, 4)
    }
    peft.add(`model.layers.1.${block}.gate`, width, 3, 4)
    const adapter = await convert(peft, {}, { architecture, experts: 3 })
    expect(adapter.shapes.get('blk.1.ffn_down_exps.weight.lora_a')).toEqual([feedForward, 4, 3])
    for (const [part, target] of [[gate, 'ffn_gate_exps'], [up, 'ffn_up_exps'], [down, 'ffn_down_exps']] as const) {
      for (const half of ['a', 'b'] as const) {
        const expected = [0, 1, 2].flatMap((expert) => peft.loras.get(`model.layers.1.${block}.experts.${expert}.${part}`)?.[half] ?? [])
        expect(adapter.matrices.get(`blk.1.${target}.weight.lora_${half}`)).toEqual(expected)
      }
    }
    expectClose(changeOf(adapter, 'blk.1.ffn_gate_inp.weight'), peft.change(`model.layers.1.${block}.gate`, 2))
  })
})

describe("the demo's pirate", () => {
  it('has the weights of its GGUF', async () => {
    const { facts, file } = await prepareAdapter(join(demo, 'adapters/pirate-peft'), { modelPaths: [join(demo, 'drawbridge-demo-q8_0.gguf')], limits, folder: directory, signal })
    expect(facts).toEqual({ format: 'peft', name: null, architecture: 'llama', rank: 8, alpha: 16, targetCount: 28, sizeBytes: 417_792 })
    const ours = await readAdapter(file.path)
    const theirs = await readAdapter(join(demo, 'adapters/pirate.gguf'))
    expect(ours.alpha).toBe(theirs.alpha)
    expect([...ours.shapes].sort()).toEqual([...theirs.shapes].sort())
    for (const [name, rows] of ours.matrices) {
      rows.forEach((row, index) => row.forEach((value, column) => {
        const rounded = theirs.matrices.get(name)?.[index]?.[column] ?? NaN
        // The GGUF is F16: 11 bits, and steps of 2 ** -24 near 0.
        expect(Math.abs(value - rounded)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -11, 2 ** -25))
      }))
    }
  })
})
