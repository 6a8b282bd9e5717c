import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectAdapter } from '../../../src/adapters/files/inspect-adapter.ts'
import { prepareAdapter } from '../../../src/adapters/files/prepare-adapter.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { sizes, writeBaseModel, type BaseModelOptions } from '../../support/base-model.ts'
import { createNumbers, encode, randomMatrix, writePeft, type TensorDefinition } from '../../support/peft-folder.ts'

const limits = { maxRank: 64, maxSizeBytes: 1 << 22 }
const { width, heads, headWidth, feedForward, vocabulary } = sizes

let directory = ''
let made = 0
beforeAll(() => { directory = realpathSync(mkdtempSync(join(tmpdir(), 'drawbridge-peft-'))) })
afterAll(() => { rmSync(directory, { recursive: true }) })

const numbers = createNumbers(1)
const zeros = (rows: number, columns: number, dtype = 'F32'): TensorDefinition =>
  ({ dtype, shape: [rows, columns], data: Buffer.alloc(rows * columns * ({ F64: 8, I8: 1 }[dtype] ?? 4)) })

function lora (module: string, inputs: number, outputs: number, rank = 4): Record<string, TensorDefinition> {
  return {
    [`base_model.model.${module}.lora_A.weight`]: encode(randomMatrix(rank, inputs, numbers)),
    [`base_model.model.${module}.lora_B.weight`]: encode(randomMatrix(outputs, rank, numbers))
  }
}

const module = 'model.layers.0.self_attn.q_proj'
const query = lora(module, width, heads * headWidth)

interface Case {
  readonly config?: Record<string, unknown>
  readonly tensors?: Record<string, TensorDefinition>
  readonly base?: BaseModelOptions
  /** Changes the folder once it is written. */
  readonly change?: (folder: string) => void
}

async function prepare ({ config = {}, tensors = query, base = {}, change }: Case, signal = new AbortController().signal) {
  const folder = join(directory, String(made++))
  const output = join(folder, 'output')
  mkdirSync(output, { recursive: true })
  const path = writePeft(join(folder, 'tuned'), config, tensors)
  change?.(path)
  writeFileSync(join(folder, 'base.gguf'), writeBaseModel(base))
  return { output, path, work: prepareAdapter(path, { modelPaths: [join(folder, 'base.gguf')], limits, folder: output, signal }) }
}

/** The message of the refusal, after which nothing lies where the GGUF would. */
async function refusal (what: Case): Promise<string> {
  const { output, work } = await prepare(what)
  const error = await work.then(() => null, (reason: unknown) => reason)
  if (!(error instanceof ServerError)) throw new Error(`not refused: ${String(error)}`)
  expect(error.code).toBe('invalid_adapter')
  expect(readdirSync(output)).toEqual([])
  return error.message
}

describe('options of PEFT that change what a LoRA is', () => {
  it.each<[Record<string, unknown>, string]>([
    [{ peft_type: 'IA3' }, 'is of the kind IA3; of PEFT\'s adapters only LORA can be used'],
    [{ peft_type: 'ADALORA' }, 'is of the kind ADALORA'],
    [{ peft_type: undefined }, 'adapter_config.json has no peft_type'],
    [{ use_dora: true }, 'use_dora in adapter_config.json means DoRA'],
    [{ bias: 'lora_only' }, 'bias in adapter_config.json means biases'],
    [{ lora_bias: true }, 'lora_bias in adapter_config.json means biases'],
    [{ modules_to_save: ['lm_head'] }, 'modules_to_save in adapter_config.json means whole modules'],
    [{ trainable_token_indices: { embed_tokens: [3] } }, 'trainable_token_indices in adapter_config.json means'],
    [{ target_parameters: ['mlp.experts.gate_up_proj'] }, 'target_parameters in adapter_config.json means'],
    [{ layer_replication: [[0, 2], [1, 2]] }, 'layer_replication in adapter_config.json means'],
    [{ fan_in_fan_out: true }, 'fan_in_fan_out in adapter_config.json means'],
    [{ alora_invocation_tokens: [1, 2] }, 'alora_invocation_tokens in adapter_config.json means an activated LoRA'],
    [{ use_qalora: true }, 'use_qalora in adapter_config.json means'],
    [{ init_lora_weights: 'pissa_niter_16' }, 'init_lora_weights in adapter_config.json is "pissa_niter_16", so the adapter belongs to a changed base model'],
    [{ init_lora_weights: 'loftq' }, 'so the adapter belongs to a changed base model'],
    [{ lora_alpha: 0 }, 'lora_alpha in adapter_config.json is 0; it must be a number other than 0'],
    [{ lora_alpha: 1e300 }, 'lora_alpha in adapter_config.json is 1e+300'],
    [{ alpha_pattern: { q_proj: 0 } }, 'alpha_pattern in adapter_config.json is 0'],
    [{ alpha_pattern: { '(a+)+b': 3 } }, 'alpha_pattern in adapter_config.json has the regular expression "(a+)+b"'],
    [{ r: 0 }, 'r in adapter_config.json is wrong'],
    [{ r: 8 }, `has weights of rank 4 at ${module}, but r in adapter_config.json is 8`],
    [{ target_modules: ['k_proj', 'v_proj'] }, `has weights of ${module}, which target_modules in adapter_config.json does not name`],
    [{ layers_to_transform: [1] }, `has weights of ${module}, whose layer layers_to_transform in adapter_config.json does not name`]
  ])('%o is refused by name', async (config, message) => {
    expect(await refusal({ config })).toContain(message)
  })

  it('are taken where they change nothing', async () => {
    const config = {
      bias: 'none',
      use_dora: false,
      modules_to_save: null,
      fan_in_fan_out: false,
      layer_replication: null,
      target_parameters: [],
      init_lora_weights: 'gaussian',
      alpha_pattern: {},
      rank_pattern: {},
      target_modules: ['q_proj'],
      layers_to_transform: 0,
      lora_dropout: 0.1,
      loftq_config: {},
      unsloth_fixed: true,
      auto_mapping: { a: 'b' },
      // As PEFT 0.18 writes them.
      arrow_config: null,
      corda_config: null,
      eva_config: null,
      exclude_modules: null,
      ensure_weight_tying: false,
      inference_mode: true,
      layers_pattern: null,
      lora_bias: false,
      megatron_config: null,
      megatron_core: 'megatron.core',
      peft_version: '0.18.0',
      qalora_group_size: 16,
      trainable_token_indices: null,
      use_qalora: false,
      use_rslora: false,
      alora_invocation_tokens: null
    }
    const { output, work } = await prepare({ config })
    expect((await work).facts).toMatchObject({ format: 'peft', rank: 4, alpha: 8, targetCount: 1 })
    expect(readdirSync(output)).toHaveLength(1)
    await (await prepare({ config: { target_modules: 'all-linear' } })).work
  })
})

describe('weights', () => {
  const a = query[`base_model.model.${module}.lora_A.weight`] as TensorDefinition
  const name = (rest: string): string => `base_model.model.model.layers.0.${rest}`
  it.each<[string, Case, string]>([
    ['none', { tensors: {} }, 'has no LoRA weights in adapter_model.safetensors'],
    ['A without B', { tensors: { [`base_model.model.${module}.lora_A.weight`]: a } }, `has LoRA's A of ${module}, but not its B`],
    ['magnitudes of DoRA', { tensors: { ...query, [name('self_attn.q_proj.lora_magnitude_vector')]: zeros(1, 32) } }, 'which belongs to DoRA'],
    ['a bias', { tensors: { ...query, [name('self_attn.q_proj.lora_B.bias')]: zeros(1, 32) } }, 'a bias, which llama.cpp does not take from adapters'],
    ['a module to save', { tensors: { ...query, [name('mlp.modules_to_save.default.weight')]: zeros(1, 32) } }, 'a whole module that was trained along'],
    ['a norm', { tensors: { ...query, [name('input_layernorm.weight')]: zeros(1, 48) } }, 'a norm that was trained along'],
    ['embeddings', { tensors: { ...query, 'base_model.model.model.embed_tokens.weight': zeros(vocabulary, width) } }, 'whole embeddings, as saved when tokens were added'],
    ['embeddings of more tokens', { tensors: { ...query, 'base_model.model.model.embed_tokens.base_layer.weight': zeros(vocabulary + 1, width) } }, 'whole embeddings, as saved when tokens were added'],
    ['names of a training checkpoint', { tensors: { [name('self_attn.q_proj.lora_A.default.weight')]: a } }, 'save the adapter with save_pretrained of PEFT'],
    ['a vision tower', { tensors: lora('vision_tower.layers.0.self_attn.q_proj', width, 32) }, 'changes vision_tower.layers.0.self_attn.q_proj, which is no matrix of the language model that a llama model has here'],
    ['a layer too many', { tensors: lora('model.layers.2.self_attn.q_proj', width, 32) }, 'but this model has no blk.2.attn_q.weight; is it an adapter of another model?'],
    ['one layer under two names', { tensors: { ...query, ...lora('layers.00.self_attn.q_proj', width, 32) } }, 'which are blk.0.attn_q.weight of this model alike'],
    ['another width', { tensors: lora(module, width + 1, 32) }, 'has A of model.layers.0.self_attn.q_proj of the shape [4, 49] and B of [32, 4], but this model needs [4, 48] and [32, 4] (its blk.0.attn_q.weight is 48 × 32)'],
    ['two ranks in a pair', { tensors: { ...lora(module, width, 32, 4), [`base_model.model.${module}.lora_B.weight`]: zeros(32, 5) } }, 'of the shape [4, 48] and B of [32, 5]; expected [rank, inputs] and [outputs, rank]'],
    ['a rank over the limit', { config: { r: 65 }, tensors: lora(module, width, 32, 65) }, 'has rank 65 at model.layers.0.self_attn.q_proj; the limit is 64'],
    ['a type that is no float of 16 or 32 bits', { tensors: { ...query, [`base_model.model.${module}.lora_A.weight`]: zeros(4, width, 'F64') } }, 'in F64; weights must be F32, F16 or BF16'],
    ['a LoRA of the output layer of a model without one', { tensors: lora('lm_head', width, vocabulary), base: { isTied: true } }, 'its output layer has the weights of its embeddings'],
    ['a plain LoRA of embeddings', { tensors: lora('model.embed_tokens', width, vocabulary) }, 'LoRA of an embedding where there is none, or none where there is one'],
    ['an architecture that is not known', { base: { architecture: 'phi3' } }, 'can be used with models of the architectures llama, mistral3, qwen2,'],
    ['some of the experts', { tensors: { ...lora('model.layers.0.mlp.experts.0.up_proj', width, feedForward), ...lora('model.layers.0.mlp.experts.1.up_proj', width, feedForward) }, base: { architecture: 'qwen3moe', experts: 3 } }, 'has a LoRA of 2 experts at blk.0.ffn_up_exps.weight, but this model has 3'],
    ['experts with a gap', { tensors: { ...lora('model.layers.0.mlp.experts.0.up_proj', width, feedForward), ...lora('model.layers.0.mlp.experts.2.up_proj', width, feedForward) }, base: { architecture: 'qwen3moe', experts: 3 } }, 'lacks a LoRA of expert 1 at blk.0.ffn_up_exps.weight']
  ])('are refused with %s', async (_, what, message) => {
    expect(await refusal(what)).toContain(message)
  })

  it('that are no numbers are refused once they are written, and nothing stays behind', async () => {
    const broken = { ...a, data: Buffer.from(a.data) }
    broken.data.writeFloatLE(NaN, 40)
    expect(await refusal({ tensors: { ...query, [`base_model.model.${module}.lora_A.weight`]: broken } })).toContain('has a weight in blk.0.attn_q.weight.lora_a that is not a finite number (element 10)')
  })

  it('of LoRAs of embeddings are refused for a model whose output layer shares them', async () => {
    const tensors = { 'base_model.model.model.embed_tokens.lora_embedding_A': zeros(4, vocabulary), 'base_model.model.model.embed_tokens.lora_embedding_B': zeros(width, 4) }
    expect(await refusal({ tensors, base: { isTied: true } })).toContain('the output layer has the same weights (they are tied)')
  })
})

describe('folders', () => {
  it.each<[string, (folder: string) => void, string]>([
    ['no weights', (folder) => { unlinkSync(join(folder, 'adapter_model.safetensors')) }, 'is a folder without adapter_model.safetensors'],
    ['a pickle', (folder) => { unlinkSync(join(folder, 'adapter_model.safetensors')); writeFileSync(join(folder, 'adapter_model.bin'), 'PK') }, 'save it as adapter_model.safetensors (save_pretrained with safe_serialization=True)'],
    ['weights in parts', (folder) => { unlinkSync(join(folder, 'adapter_model.safetensors')); writeFileSync(join(folder, 'adapter_model-00001-of-00002.safetensors'), '') }, 'has its weights in several files'],
    ['a config that is no JSON', (folder) => { writeFileSync(join(folder, 'adapter_config.json'), 'secret: 1') }, 'adapter_config.json is not JSON'],
    ['a config that is a list', (folder) => { writeFileSync(join(folder, 'adapter_config.json'), '[]') }, 'adapter_config.json has no peft_type'],
    ['a config of megabytes', (folder) => { writeFileSync(join(folder, 'adapter_config.json'), ' '.repeat(1_100_000)) }, 'has an adapter_config.json of 1 MiB; the limit is 1 MiB'],
    ['weights over the limit', (folder) => { writeFileSync(join(folder, 'adapter_model.safetensors'), Buffer.alloc((1 << 22) + 1)) }, 'the limit is 4 MiB'],
    ['a folder for weights', (folder) => { unlinkSync(join(folder, 'adapter_model.safetensors')); mkdirSync(join(folder, 'adapter_model.safetensors')) }, 'adapter_model.safetensors is a folder']
  ])('with %s are refused', async (_, change, message) => {
    const text = await refusal({ change })
    expect(text).toContain('/tuned ')
    expect(text).toContain(message)
    expect(text).not.toContain('secret')
  })

  it('are not touched when the work was called off before', async () => {
    const { output, work } = await prepare({}, AbortSignal.abort(new Error('too late')))
    await expect(work).rejects.toThrow('too late')
    expect(readdirSync(output)).toEqual([])
  })

  it('are described without a model too', async () => {
    const folder = writePeft(join(directory, 'described'), { rank_pattern: { up_proj: 6 } }, { ...query, ...lora('model.layers.1.mlp.up_proj', width, feedForward, 6) })
    expect(await inspectAdapter(folder, limits, new AbortController().signal)).toEqual({
      format: 'peft', name: null, architecture: null, rank: 6, alpha: 8, targetCount: 2, sizeBytes: 4 * (4 * (width + 32) + 6 * (width + feedForward))
    })
  })
})
