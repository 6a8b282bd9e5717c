import { gguf } from '@huggingface/gguf'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseOptions } from '../../../bench/model/options.ts'
import { adapterTensorsOf, presets, tensorsOf, type ModelShape } from '../../../bench/model/shape.ts'
import { matrixTypes, toHalf } from '../../../bench/model/tensor-type.ts'
import { makeVocabulary } from '../../../bench/model/vocabulary.ts'
import { RandomWeights } from '../../../bench/model/weights.ts'
import { writeAdapter, writeModel, type RandomModel, type WrittenModel } from '../../../bench/model/write-model.ts'
import { readGgufFile } from '../../../src/models/gguf-file.ts'
import { readModelFile } from '../../../src/models/model-file.ts'
import { packageRoot } from '../../../src/models/package-root.ts'

const tinyShape: ModelShape = { width: 64, layerCount: 2, headCount: 4, kvHeadCount: 2, feedForwardWidth: 96, vocabularySize: 2000 }
const typeNames = Object.keys(matrixTypes) as (keyof typeof matrixTypes)[]

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-random-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

let fileCount = 0
async function write (changes: Partial<RandomModel> = {}): Promise<WrittenModel & { readonly file: string }> {
  const file = path.join(directory, `tiny-${fileCount++}.gguf`)
  const model = { shape: tinyShape, type: matrixTypes.q8_0, seed: 1, contextSize: 512, name: 'Random Tiny', ...changes }
  return { file, ...await writeModel(file, model, new AbortController().signal) }
}

/** A 16-bit float's value, after the standard. */
function fromHalf (half: number): number {
  const exponent = half >> 10 & 31
  const mantissa = half & 1023
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25)
  return half & 0x8000 ? -magnitude : magnitude
}

/** Values that blocks stand for, after the description of the types in ggml-common.h. */
const decoders: Record<keyof typeof matrixTypes, (bytes: Buffer) => number[]> = {
  f16: (bytes) => Array.from({ length: bytes.length / 2 }, (_, index) => fromHalf(bytes.readUInt16LE(index * 2))),
  q8_0: (bytes) => blocks(bytes, 34).flatMap((block) => {
    const scale = fromHalf(block.readUInt16LE())
    return Array.from({ length: 32 }, (_, index) => scale * block.readInt8(2 + index))
  }),
  q4_0: (bytes) => blocks(bytes, 18).flatMap((block) => {
    const scale = fromHalf(block.readUInt16LE())
    const nibbles = [...block.subarray(2)]
    return [...nibbles.map((byte) => byte & 15), ...nibbles.map((byte) => byte >> 4)].map((nibble) => scale * (nibble - 8))
  })
}

function blocks (bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: bytes.length / size }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

function encode (type: keyof typeof matrixTypes, values: readonly number[]): Buffer {
  const { blockBytes, blockLength } = matrixTypes[type]
  const bytes = Buffer.alloc(values.length / blockLength * blockBytes)
  matrixTypes[type].encode(Float32Array.from(values), bytes)
  return bytes
}

describe('the file', () => {
  it('has a header that says what the model is', async () => {
    const { file, sizeBytes, parameterCount } = await write()
    expect(readFileSync(file)).toHaveLength(sizeBytes)
    expect(await readModelFile([file])).toMatchObject({
      sizeBytes,
      parameterCount,
      architecture: 'llama',
      name: 'Random Tiny',
      quantization: 'Q8_0',
      trainContextSize: 512,
      vocabularySize: 2000,
      embeddingLength: 64,
      feedForwardLength: 96,
      pooling: null,
      kvBytesPerToken: 2 * 2 * 32 * 2
    })
    expect(parameterCount).toBe(64 * 2000 + 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96 + 2 * 64) + 64)
  })

  it.each(typeNames)('has tensors of %s one after another, to its end', async (name) => {
    const type = matrixTypes[name]
    const { file, sizeBytes } = await write({ type })
    const { tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true })
    let end = 0
    for (const [index, tensor] of tensorsOf(tinyShape, type).entries()) {
      const rowCount = tensor.rowCount ?? 1
      expect(tensorInfos[index]).toMatchObject({
        name: tensor.name,
        shape: (tensor.rowCount === null ? [tensor.rowLength] : [tensor.rowLength, rowCount]).map(BigInt),
        dtype: tensor.rowCount === null ? 0 : type.ggmlType,
        offset: BigInt(end)
      })
      const bytes = tensor.rowLength * rowCount * (tensor.rowCount === null ? 4 : type.blockBytes / type.blockLength)
      end = Math.ceil((end + bytes) / 32) * 32
    }
    expect(tensorInfos).toHaveLength(tensorsOf(tinyShape, type).length)
    expect(Number(tensorDataOffset) + end).toBe(sizeBytes)
  })

  it.each(typeNames)('has weights of %s near those that were drawn', async (name) => {
    const type = matrixTypes[name]
    const { file } = await write({ type, seed: 7 })
    const { tensorInfos, tensorDataOffset } = await gguf(file, { allowLocalFile: true })
    const content = readFileSync(file)
    for (const [index, tensor] of tensorsOf(tinyShape, type).entries()) {
      if (tensor.rowCount === null) continue
      const drawn = new Float32Array(tensor.rowLength * 3)
      const firstRow = tensor.rowCount - 3
      new RandomWeights(7, new Set()).fill(drawn, tensor, index, firstRow)
      const rowBytes = tensor.rowLength / type.blockLength * type.blockBytes
      const start = Number(tensorDataOffset + tensorInfos[index]!.offset) + firstRow * rowBytes
      const stored = decoders[name](content.subarray(start, start + 3 * rowBytes))
      const largest = Math.max(...drawn.map(Math.abs))
      const tolerance = largest * { f16: 2 ** -11, q8_0: 0.6 / 127, q4_0: 1 / 8 }[name]
      expect(Math.max(...drawn.map((value, position) => Math.abs(value - stored[position]!)))).toBeLessThan(tolerance)
    }
  })

  it('has the same bytes for the same seed, and others for another', async () => {
    const [first, again, other] = await Promise.all([1, 1, 2].map(async (seed) => readFileSync((await write({ seed })).file)))
    expect(first!.equals(again!)).toBe(true)
    expect(first!.equals(other!)).toBe(false)
    expect(first).toHaveLength(other!.length)
  })

  it('does not exist unless it is whole', async () => {
    const folder = mkdtempSync(path.join(directory, 'stopped-'))
    const file = path.join(folder, 'model.gguf')
    const model = { shape: tinyShape, type: matrixTypes.q8_0, seed: 1, contextSize: 512, name: 'Random Tiny' }
    await expect(writeModel(file, model, AbortSignal.abort(new Error('Stopped')))).rejects.toThrow('Stopped')
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('blocks', () => {
  const ramp = Array.from({ length: 32 }, (_, index) => (index - 16) / 16)

  it('of q8_0 have a scale and 32 signed bytes', () => {
    const bytes = encode('q8_0', ramp)
    expect(bytes.readUInt16LE()).toBe(toHalf(1 / 127))
    expect(bytes.readInt8(2)).toBe(-127)
    expect(bytes.readInt8(2 + 17)).toBe(8)
    expect(bytes.readInt8(2 + 15)).toBe(-8)
    // As in C, halves go away from zero.
    expect(encode('q8_0', [127, 0.5, -0.5, 2.5, -2.5, ...Array<number>(27).fill(0)]).subarray(2, 7)).toEqual(Buffer.from([127, 1, 255, 3, 253]))
  })

  it('of q4_0 have a scale and two elements in each byte', () => {
    const bytes = encode('q4_0', ramp)
    expect(fromHalf(bytes.readUInt16LE())).toBe(1 / 8)
    // Elements 0 and 16 are -1 and 0, elements 15 and 31 are -1/16 and 15/16, which halves round up.
    expect(bytes[2]).toBe(0 | 8 << 4)
    expect(bytes[17]).toBe(8 | 15 << 4)
    expect(fromHalf(encode('q4_0', ramp.map((value) => -value)).readUInt16LE())).toBe(-1 / 8)
  })

  it.each(typeNames)('of %s hold zeros', (name) => {
    expect(decoders[name](encode(name, Array<number>(64).fill(0))).every((value) => value === 0)).toBe(true)
  })

  it('have halves that are rounded to even', () => {
    expect([1, -2, 65504, 2 ** -24, 2 ** -14, 0].map(toHalf)).toEqual([0x3C00, 0xC000, 0x7BFF, 1, 0x400, 0])
    expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25, 3 * 2 ** -25].map(toHalf)).toEqual([0x3C00, 0x3C02, 0, 2])
    expect([65519, 65520, 1e9, -Infinity].map(toHalf)).toEqual([0x7BFF, 0x7C00, 0x7C00, 0xFC00])
    expect(fromHalf(toHalf(0.1))).toBeCloseTo(0.1, 4)
  })
})

describe('the vocabulary', () => {
  it('begins with that of the demo model and goes on with distinct words', async () => {
    const demo = await readGgufFile(path.join(packageRoot(), 'models/demo/drawbridge-demo-q8_0.gguf'))
    const demoTokens = demo.metadata.get('tokenizer.ggml.tokens') as string[]
    const { metadata, quietTokens } = await makeVocabulary(32_000)
    const tokens = metadata['tokenizer.ggml.tokens']!.value as string[]
    const types = metadata['tokenizer.ggml.token_type']!.value as number[]
    expect(tokens.slice(0, demoTokens.length)).toEqual(demoTokens)
    expect(new Set(tokens).size).toBe(32_000)
    expect(types).toHaveLength(32_000)
    expect(tokens.slice(demoTokens.length).every((token) => /^Ġ?[a-z]{2,}$/.test(token))).toBe(true)
    expect(metadata['tokenizer.chat_template']!.value).toBe(demo.metadata.get('tokenizer.chat_template'))
    expect(quietTokens).toContain(demo.metadata.get('tokenizer.ggml.eos_token_id'))
    expect(quietTokens).toContain(tokens.indexOf('Ċ'))
    expect(quietTokens).not.toContain(tokens.indexOf('Ġthe'))
    expect(Math.max(...quietTokens)).toBeLessThan(demoTokens.length)
  })

  it('is refused where the demo does not fit in', async () => {
    await expect(makeVocabulary(100)).rejects.toThrow('A vocabulary of 100 is too small')
  })
})

describe('weights', () => {
  it('have the size that keeps values of a size, and quiet tokens less', () => {
    const [embeddings] = tensorsOf(presets['15M'], matrixTypes.q8_0)
    const rows = new Float32Array(288 * 100)
    new RandomWeights(1, new Set([99])).fill(rows, embeddings!, 0, 0)
    const normOf = (row: number): number => Math.hypot(...rows.subarray(row * 288, (row + 1) * 288))
    expect(normOf(0)).toBeCloseTo(1, 0)
    expect(normOf(98)).toBeCloseTo(1, 0)
    expect(normOf(99)).toBeCloseTo(1 / 16, 1)
    expect(Math.abs(rows.reduce((sum, value) => sum + value, 0) / rows.length)).toBeLessThan(0.002)
  })
})

describe('presets', () => {
  it.each(Object.entries<ModelShape>(presets))('%s fits into blocks, heads and its name', (name, shape) => {
    const tensors = tensorsOf(shape, matrixTypes.q8_0)
    expect(tensors.every(({ rowLength }) => rowLength % 32 === 0)).toBe(true)
    expect([shape.width % shape.headCount, shape.headCount % shape.kvHeadCount]).toEqual([0, 0])
    const parameters = tensors.reduce((sum, { rowLength, rowCount }) => sum + rowLength * (rowCount ?? 1), 0)
    expect(parameters / (Number.parseFloat(name) * (name.endsWith('B') ? 1e9 : 1e6))).toBeCloseTo(1, 1)
  })
})

describe('flags', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({ size: '135M', type: 'q8_0', file: 'models/random-135m-q8_0.gguf', seed: 1, contextSize: 4096, adapterRank: null })
    expect(parseOptions(['--size', '15m', '--type', 'F16', '--out', 'x.gguf', '--seed', '9', '--context', '128']))
      .toEqual({ size: '15M', type: 'f16', file: 'x.gguf', seed: 9, contextSize: 128, adapterRank: null })
    expect(parseOptions(['--help'])).toBe(null)
  })

  it.each([
    [['--size', '7B'], '--size is "7B", but must be one of 15M, 135M, 500M, 1.5B, 3B'],
    [['--type', 'q4_k'], '--type is "q4_k", but must be one of q8_0, q4_0, f16'],
    [['--seed', '-1'], "Option '--seed' needs a value that does not begin with a dash"],
    [['--seed', '0'], '--seed is "0", but must be a whole number from 1 to 4294967295'],
    [['--context', '1e9'], '--context is "1e9", but must be a whole number from 1 to 1000000'],
    [['--out', 'model.bin'], '--out is "model.bin", but must end with .gguf'],
    [['--out', 'nowhere/model.gguf'], '--out is "nowhere/model.gguf", whose folder does not exist'],
    [['--sise', '15M'], "Unknown option '--sise'"],
    [['15M'], "Unexpected argument '15M'"]
  ])('%j are refused with a sentence', (flags, message) => {
    expect(() => parseOptions(flags)).toThrow(new Error(message))
  })

  it('do not replace a file', () => {
    const file = path.join(directory, 'mine.gguf')
    writeFileSync(file, 'mine')
    expect(() => parseOptions(['--out', file])).toThrow(`--out is "${file}", which exists already; remove it or choose another name`)
    expect(existsSync(file)).toBe(true)
  })
})

describe('a random adapter', () => {
  it('has a pair of matrices for each one of the base’s layers, and nothing for its embeddings and norms', async () => {
    const file = path.join(directory, 'adapter.gguf')
    const { parameterCount } = await writeAdapter(file, { shape: tinyShape, rank: 4, seed: 7, name: 'Random Adapter' }, new AbortController().signal)
    const { metadata, tensorInfos } = await gguf(file, { allowLocalFile: true })
    expect(metadata).toMatchObject({ 'general.type': 'adapter', 'adapter.type': 'lora', 'adapter.lora.alpha': 4, 'general.architecture': 'llama' })
    const shapes = new Map(tensorInfos.map(({ name, shape }) => [name, shape.map(Number)]))
    const bases = tensorsOf(tinyShape, matrixTypes.f16).filter(({ name }) => /^blk.*(attn_[qkv]|attn_output|ffn_(gate|up|down))\.weight$/.test(name))
    expect(shapes.size).toBe(2 * 7 * tinyShape.layerCount)
    for (const { name, rowLength, rowCount } of bases) {
      expect(shapes.get(`${name}.lora_a`)).toEqual([rowLength, 4])
      expect(shapes.get(`${name}.lora_b`)).toEqual([4, rowCount])
    }
    expect(parameterCount).toBe(adapterTensorsOf(tinyShape, matrixTypes.f16, 4).reduce((sum, { rowLength, rowCount }) => sum + rowLength * (rowCount ?? 1), 0))
  })

  it('has other weights for another seed', async () => {
    const files = [1, 2, 1].map((_, index) => path.join(directory, `adapter-${index}.gguf`))
    for (const [index, seed] of [1, 2, 1].entries()) {
      await writeAdapter(files[index]!, { shape: tinyShape, rank: 2, seed, name: 'Random' }, new AbortController().signal)
    }
    const [one, two, again] = files.map((file) => readFileSync(file))
    expect(one!.equals(two!)).toBe(false)
    expect(one!.equals(again!)).toBe(true)
  })

  it('is asked for with its rank', () => {
    expect(parseOptions(['--adapter', '8', '--seed', '3', '--size', '15m'])).toMatchObject({ adapterRank: 8, size: '15M', file: 'models/random-15m-adapter-3.gguf' })
    expect(() => parseOptions(['--adapter', 'big'])).toThrow('--adapter')
  })
})
