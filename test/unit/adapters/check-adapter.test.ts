import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, closeSync, realpathSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspectAdapter } from '../../../src/adapters/files/inspect-adapter.ts'
import { createPrepareAdapter, prepareAdapter } from '../../../src/adapters/files/prepare-adapter.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { sizes, writeBaseModel } from '../../support/base-model.ts'
import { writeGguf, type GgufDefinition, type GgufTensorDefinition } from '../../support/gguf-writer.ts'

const signal = new AbortController().signal
const limits = { maxRank: 64, maxSizeBytes: 1 << 20 }
const { width, heads, headWidth, feedForward, vocabulary } = sizes

let directory = ''
let modelPath = ''
let tiedPath = ''
let expertPath = ''
beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'drawbridge-adapters-')))
  modelPath = fileOf('base.gguf', writeBaseModel())
  tiedPath = fileOf('tied.gguf', writeBaseModel({ isTied: true }))
  expertPath = fileOf('experts.gguf', writeBaseModel({ experts: 3 }))
})
afterAll(() => { rmSync(directory, { recursive: true }) })

function fileOf (name: string, content: Buffer | string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

const metadata = { 'general.architecture': 'llama', 'general.type': 'adapter', 'adapter.type': 'lora', 'adapter.lora.alpha': { float32: 16 } }

function pair (target: string, a: readonly number[], b: readonly number[], type = 0): GgufTensorDefinition[] {
  return [{ name: `${target}.lora_a`, shape: a, type }, { name: `${target}.lora_b`, shape: b, type }]
}

const query = pair('blk.0.attn_q.weight', [width, 4], [4, heads * headWidth])

const adapterOf = (definition: GgufDefinition = {}): Buffer => writeGguf({ ...definition, metadata: { ...metadata, ...definition.metadata }, tensors: definition.tensors ?? query })

const prepare = async (path: string, model = modelPath) =>
  await prepareAdapter(path, { modelPaths: [model], limits, folder: directory, signal })

/** The message of the refusal. */
async function refusal (work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => null, (reason: unknown) => reason)
  if (!(error instanceof ServerError)) throw new Error(`not refused: ${String(error)}`)
  expect(error.code).toBe('invalid_adapter')
  return error.message
}

const refusalOf = async (content: Buffer, model = modelPath): Promise<string> => await refusal(prepare(fileOf('it.gguf', content), model))

describe('many adapters of one model', () => {
  it('are compared with its file as it is, though it is not read for each', async () => {
    const path = fileOf('changing.gguf', writeBaseModel())
    const it = fileOf('it.gguf', adapterOf())
    const prepareOne = createPrepareAdapter()
    const prepared = async () => await prepareOne(it, { modelPaths: [path], limits, folder: directory, signal })
    const before = (await prepared()).facts
    expect((await prepared()).facts).toEqual(before)
    fileOf('changing.gguf', writeBaseModel({ architecture: 'qwen2' }))
    expect(await refusal(prepared())).toContain('qwen2')
    writeFileSync(path, 'damaged')
    await expect(prepared()).rejects.toMatchObject({ code: 'engine_error' })
    fileOf('changing.gguf', writeBaseModel())
    expect((await prepared()).facts).toEqual(before)
  })
})

describe('a GGUF adapter', () => {
  it('is taken as it is, and described', async () => {
    const path = fileOf('good.gguf', adapterOf({
      metadata: { 'general.name': 'tuned\u001b[31m' },
      tensors: [...query, ...pair('output.weight', [width, 8], [8, vocabulary], 0), ...pair('token_embd.weight', [2, vocabulary], [2, width])]
    }))
    const facts = {
      format: 'gguf',
      name: 'tuned\uFFFD[31m',
      architecture: 'llama',
      rank: 8,
      alpha: 16,
      targetCount: 3,
      sizeBytes: 4 * (4 * (width + heads * headWidth) + 8 * (width + vocabulary) + 2 * (vocabulary + width))
    }
    expect(await prepare(path)).toEqual({ facts, file: { path } })
    expect(await inspectAdapter(path, limits, signal)).toEqual(facts)
  })

  it('can be quantized, and change all experts at once', async () => {
    const quantized = fileOf('quantized.gguf', adapterOf({
      tensors: [
        { name: 'blk.0.ffn_down.weight.lora_a', shape: [feedForward, 32], type: 1, sizeBytes: feedForward * 32 * 2 },
        { name: 'blk.0.ffn_down.weight.lora_b', shape: [32, width], type: 8, sizeBytes: width * 34 }
      ]
    }))
    expect((await prepare(quantized)).facts).toMatchObject({ rank: 32, sizeBytes: feedForward * 64 + width * 34 })
    const experts = fileOf('experts-adapter.gguf', adapterOf({ tensors: pair('blk.1.ffn_up_exps.weight', [width, 4, 3], [4, feedForward, 3]) }))
    expect((await prepare(experts, expertPath)).facts).toMatchObject({ rank: 4, targetCount: 1 })
  })

  it.each<[string, () => Buffer, string]>([
    ['a model', () => writeBaseModel(), 'is no adapter but a model'],
    ['another type', () => adapterOf({ metadata: { 'general.type': 'mmproj' } }), 'is no adapter: its general.type is "mmproj", not "adapter"'],
    ['a number where llama.cpp wants a text', () => adapterOf({ metadata: { 'general.type': 7 } }), 'is damaged: general.type must be a text'],
    ['another kind of adapter', () => adapterOf({ metadata: { 'adapter.type': 'control_vector' } }), 'is of the kind "control_vector"; adapter.type must be "lora"'],
    ['another architecture', () => adapterOf({ metadata: { 'general.architecture': 'qwen2' } }), 'is for models of the architecture "qwen2", but this model is of "llama"'],
    ['an integer alpha', () => adapterOf({ metadata: { 'adapter.lora.alpha': 16 } }), 'is damaged: adapter.lora.alpha must be a 32-bit floating-point number'],
    ['an endless alpha', () => adapterOf({ metadata: { 'adapter.lora.alpha': { float32: Infinity } } }), 'is damaged: adapter.lora.alpha is Infinity'],
    ['an activated LoRA', () => adapterOf({ metadata: { 'adapter.alora.invocation_tokens': [1, 2] } }), 'is an activated LoRA (aLoRA)'],
    ['an alignment that is no power of two', () => adapterOf({ metadata: { 'general.alignment': 24 } }), 'is damaged: general.alignment must be a power of two'],
    ['no tensors', () => adapterOf({ tensors: [] }), 'has no tensors, so it changes nothing'],
    ['half a pair', () => adapterOf({ tensors: query.slice(1) }), 'has blk.0.attn_q.weight.lora_b but not blk.0.attn_q.weight.lora_a'],
    ['a norm', () => adapterOf({ tensors: [...query, { name: 'blk.0.attn_norm.weight', shape: [width] }] }), 'has the tensor blk.0.attn_norm.weight, which is no part of a LoRA (.lora_a or .lora_b); norms that were trained along'],
    ['a name that llama.cpp would turn into another', () => adapterOf({ tensors: pair('blk.0.lora_a.attn_q.weight', [width, 4], [4, heads * headWidth]) }), 'changes blk.0.lora_a.attn_q.weight, which this model does not have'],
    ['a layer too many', () => adapterOf({ tensors: pair('blk.2.attn_q.weight', [width, 4], [4, heads * headWidth]) }), 'changes blk.2.attn_q.weight, which this model does not have; is it an adapter of another model?'],
    ['a vector', () => adapterOf({ tensors: pair('blk.0.attn_norm.weight', [width, 4], [4, 1]) }), 'changes blk.0.attn_norm.weight, which is a vector in this model'],
    ['another width', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [64, 4], [4, heads * headWidth]) }), 'has blk.0.attn_q.weight.lora_a of the shape 64 × 4, but this model needs 48 × 4; is it'],
    ['another height', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 4], [4, 64]) }), 'has blk.0.attn_q.weight.lora_b of the shape 4 × 64, but this model needs 4 × 32; is it'],
    ['a dimension more, over which llama.cpp aborts', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 4, 2], [4, heads * headWidth, 2]) }), 'has blk.0.attn_q.weight.lora_a of the shape 48 × 4 × 2, but this model needs 48 × 4;'],
    ['two ranks in a pair', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 4], [8, heads * headWidth]) }), 'has blk.0.attn_q.weight.lora_a of rank 4, but blk.0.attn_q.weight.lora_b of rank 8'],
    ['a rank over the limit', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 65], [65, heads * headWidth]) }), 'has rank 65 at blk.0.attn_q.weight; the limit is 64'],
    ['integers, over which llama.cpp aborts', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 4], [4, heads * headWidth], 26) }), 'has the tensor blk.0.attn_q.weight.lora_a in a type (number 26) that adapters cannot have; they can have F32, F16,'],
    ['a type that there is not', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 4], [4, heads * headWidth], 999) }), 'in a type (number 999) that adapters cannot have'],
    ['rows that are no whole blocks', () => adapterOf({ tensors: pair('blk.0.attn_q.weight', [width, 4], [4, heads * headWidth], 8) }), 'has rows of 48 numbers, but Q8_0 stores them in blocks of 32'],
    ['a file over the limit', () => Buffer.concat([adapterOf(), Buffer.alloc(1 << 20)]), 'the limit is 1 MiB'],
    ['an empty file', () => Buffer.alloc(0), 'is empty'],
    ['a checkpoint', () => Buffer.from('PK\u0003\u0004 and so on, and on, and on'), 'is not a GGUF file: it does not begin with "GGUF" but is a zip archive or a PyTorch checkpoint'],
    ['the other byte order', () => { const bytes = adapterOf(); bytes.writeUInt32BE(3, 4); return bytes }, 'is a big-endian GGUF file'],
    ['an old version', () => adapterOf({ version: 1 }), 'has version 1 of the GGUF format; versions 2 and 3 can be read'],
    ['a name with an end in it, where C would stop', () => adapterOf({ metadata: { 'general.alignment\0': 64 } }), 'is damaged: a key has the name "general.alignment\uFFFD"']
  ])('is refused with %s', async (_, content, message) => {
    const text = await refusalOf(content())
    expect(text).toContain(`The adapter ${join(directory, 'it.gguf')} `)
    expect(text).toContain(message)
  })

  it('that changes embeddings is refused for a model whose output layer shares them, over which llama.cpp aborts', async () => {
    expect(await refusalOf(adapterOf({ tensors: pair('token_embd.weight', [4, vocabulary], [4, width]) }), tiedPath)).toContain('the output layer has the same weights (they are tied)')
  })

  it('that changes feed-forward weights that are NVFP4 with a scale is refused, since llama.cpp aborts', async () => {
    const base = (scaled: boolean): Buffer => writeGguf({
      metadata: { 'general.architecture': 'llama' },
      tensors: [{ name: 'blk.0.ffn_up.weight', shape: [64, 64], type: 40 }, ...scaled ? [{ name: 'blk.0.ffn_up.scale', shape: [1] }] : []]
    })
    const content = adapterOf({ tensors: pair('blk.0.ffn_up.weight', [64, 4], [4, 64]) })
    expect(await refusalOf(content, fileOf('nvfp4.gguf', base(true)))).toContain('changes blk.0.ffn_up.weight, which this model has as NVFP4 with a scale')
    await prepare(fileOf('it.gguf', content), fileOf('nvfp4.gguf', base(false)))
  })

  it('that changes some of the experts is refused', async () => {
    const tensors = pair('blk.1.ffn_up_exps.weight', [width, 4, 2], [4, feedForward, 2])
    expect(await refusalOf(adapterOf({ tensors }), expertPath)).toContain('of the shape 48 × 4 × 2, but this model needs 48 × 4 × 3')
  })

  it.each([['F32', 0, 4, 0x7F80_0000], ['F16', 1, 2, 0xFE00], ['BF16', 30, 2, 0x7FC0]] as const)('with a weight that is no number (%s) is refused', async (_, type, bytes, bits) => {
    const content = adapterOf({
      tensors: query.map(({ name, shape }) => ({ name, shape, type, sizeBytes: (shape[0] ?? 0) * (shape[1] ?? 0) * bytes }))
    })
    const last = content.length - bytes
    content.writeUIntLE(bits, last, bytes)
    expect(await refusalOf(content)).toContain(`has a weight in blk.0.attn_q.weight.lora_b that is not a finite number (element ${4 * heads * headWidth - 1})`)
  })

  it('with a scale of a block that is no number is refused', async () => {
    const content = adapterOf({
      tensors: [
        { name: 'blk.0.ffn_down.weight.lora_a', shape: [feedForward, 32] },
        { name: 'blk.0.ffn_down.weight.lora_b', shape: [32, width], type: 8, sizeBytes: width * 34 }
      ]
    })
    // The data ends with 48 blocks and their padding to 32 bytes, which is none.
    content.writeUInt16LE(0x7C00, content.length - 34)
    expect(await refusalOf(content)).toContain('has a weight in blk.0.ffn_down.weight.lora_b that is not a finite number (element 1504)')
  })

  it('of gigabytes of nothing is refused without reading them', async () => {
    const path = fileOf('sparse.gguf', Buffer.alloc(0))
    const claims = Buffer.alloc(60)
    claims.write('GGUF', 0, 'latin1')
    claims.writeUInt32LE(3, 4)
    claims.writeBigUInt64LE(1n, 16)
    claims.writeBigUInt64LE(1n, 24)
    claims.write('x', 32, 'latin1')
    claims.writeUInt32LE(9, 33)
    claims.writeUInt32LE(8, 37)
    claims.writeBigUInt64LE(2n ** 30n, 41)
    const file = openSync(path, 'w')
    writeSync(file, claims)
    closeSync(file)
    truncateSync(path, 2 ** 34)
    const roomy = { modelPaths: [modelPath], limits: { ...limits, maxSizeBytes: Infinity }, folder: directory, signal }
    expect(await refusal(prepareAdapter(path, roomy))).toContain('has a header of more than 16777216 bytes, which is the limit')
    expect(await refusal(prepare(path))).toContain('has 16 GiB; the limit is 1 MiB')
    rmSync(path)
  })
})

describe('a path', () => {
  it('that leads nowhere, or to a folder that PEFT did not make, is refused', async () => {
    expect(await refusal(prepare(join(directory, 'nothing')))).toBe(`The adapter ${join(directory, 'nothing')} cannot be read: it does not exist`)
    mkdirSync(join(directory, 'empty'))
    expect(await refusal(prepare(join(directory, 'empty')))).toBe(`The adapter ${join(directory, 'empty')} is a folder without adapter_config.json; it must be one that PEFT saved`)
  })

  it.runIf(process.platform !== 'win32')('to a pipe, a device or a socket is refused, and nobody waits for it', async () => {
    const pipe = join(directory, 'pipe')
    execFileSync('mkfifo', [pipe])
    expect(await refusal(prepare(pipe))).toBe(`The adapter ${join(directory, 'pipe')} cannot be used: its file is not a regular file`)
    expect(await refusal(prepare('/dev/zero'))).toBe('The adapter /dev/zero cannot be used: its file is not a regular file')
    const server = createServer().listen(join(directory, 'socket'))
    await once(server, 'listening')
    expect(await refusal(prepare(join(directory, 'socket')))).toContain(`The adapter ${join(directory, 'socket')} cannot be used: its file `)
    server.close()
  })
})

it('a base model that has gone is not the fault of the adapter', async () => {
  const path = fileOf('good.gguf', adapterOf())
  await expect(prepare(path, join(directory, 'gone.gguf'))).rejects.toMatchObject({ code: 'engine_error', message: 'The model file gone.gguf cannot be used: it cannot be read: it does not exist' })
})
