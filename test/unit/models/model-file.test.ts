import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StartupError } from '../../../src/domain/startup-error.ts'
import { readGgufFile } from '../../../src/models/gguf-file.ts'
import { readModelFile } from '../../../src/models/model-file.ts'
import { findModel } from '../../../src/models/model-source.ts'
import { tinyModel, writeGguf } from '../../support/gguf-writer.ts'

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-gguf-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

function fileOf (name: string, content: Buffer | string): string {
  const file = path.join(directory, name)
  writeFileSync(file, content)
  return file
}

/** The message without the part that names the file, which must be its beginning. */
async function refusal (file: string): Promise<string> {
  const error: unknown = await readModelFile([file]).then(() => null, (thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StartupError)
  const { message } = error as StartupError
  expect(message).not.toContain('\n')
  const subject = `The model file ${file}`
  expect(message.slice(0, subject.length)).toBe(subject)
  return message.slice(subject.length + 1)
}

function demoPath (): string {
  const source = findModel('demo')
  if (source.type !== 'file') throw new Error('The demo model is a file')
  return source.paths[0]
}

describe('the demo model', () => {
  it('is read with its shape', async () => {
    const model = await readModelFile([demoPath()])
    expect(model).toMatchObject({
      architecture: 'llama',
      name: 'Drawbridge Demo',
      quantization: 'Q8_0',
      parameterCount: 1_820_352,
      trainContextSize: 2048,
      vocabularySize: 1792,
      embeddingLength: 192,
      feedForwardLength: 448,
      // 4 layers of 3 KV heads of 32, keys and values, 2 bytes each.
      pooling: null,
      kvBytesPerToken: 4 * 3 * 32 * 2 * 2
    })
  })

  it('has tensors whose sizes add up to the file', async () => {
    const { tensors, sizeBytes } = await readGgufFile(demoPath())
    const weights = tensors.reduce((sum, tensor) => sum + (tensor.sizeBytes ?? NaN), 0)
    expect(sizeBytes - weights).toBeGreaterThan(0)
    expect(sizeBytes - weights).toBeLessThan(100_000)
  })

  it('is refused when a single byte is missing, or any larger part', async () => {
    const whole = readFileSync(demoPath())
    const lengths = [whole.length - 1, whole.length - 100_000, 60_000, 55_000, 30_000, 5000, 100, 24, 20, 8, 4]
    for (const length of lengths) {
      expect(await refusal(fileOf(`cut-${length}.gguf`, whole.subarray(0, length)))).toMatch(/truncated/)
    }
    expect(await refusal(fileOf('cut-1.gguf', whole.subarray(0, whole.length - 1))))
      .toBe('is truncated at 1.9 MiB: its tensors need 1.9 MiB, 1 bytes more; copy or download it again')
  })
})

describe('files that are no model', () => {
  it.each([
    ['empty', '', 'is empty'],
    ['text', 'hello, world', 'is not a GGUF file: it does not begin with "GGUF"'],
    ['lfs', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'is not a GGUF file, but a pointer of Git LFS; run "git lfs pull" to get the file itself'],
    ['html', '<!DOCTYPE html><html>', 'is not a GGUF file, but a web page; the download brought an error or a login page'],
    ['zip', 'PK\u0003\u0004rest', 'is not a GGUF file, but a zip archive or a PyTorch checkpoint; convert it with convert_hf_to_gguf.py of llama.cpp'],
    ['safetensors', '\u0010\u0001\u0000\u0000\u0000\u0000\u0000\u0000{"__metadata__":{}}', 'is not a GGUF file, but safetensors; convert the model with convert_hf_to_gguf.py of llama.cpp'],
    ['ggjt', 'tjgg\u0003\u0000\u0000\u0000', 'is not a GGUF file, but one of its predecessors (GGML); convert the model again']
  ])('says what a file of kind %s is', async (name, content, message) => {
    expect(await refusal(fileOf(`${name}.gguf`, Buffer.from(content, 'latin1')))).toBe(message)
  })

  it('says when it is missing or a folder', async () => {
    expect(await refusal(path.join(directory, 'nothing.gguf'))).toBe('cannot be read: it does not exist')
    expect(await refusal(directory)).toBe('is a folder, not a file')
    const pipe = path.join(directory, 'pipe.gguf')
    execFileSync('mkfifo', [pipe])
    for (const special of ['/dev/null', pipe]) expect(await refusal(special)).toBe('is not a regular file')
  })

  it('says which version and byte order it cannot read', async () => {
    expect(await refusal(fileOf('v1.gguf', writeGguf({ version: 1 })))).toBe('has version 1 of the GGUF format, but only versions 2 and 3 can be read; convert the model again')
    expect(await refusal(fileOf('v0.gguf', writeGguf({ version: 0 })))).toBe('has version 0 of the GGUF format, but only versions 2 and 3 can be read; convert the model again')
    expect(await refusal(fileOf('v9.gguf', writeGguf({ version: 9 })))).toBe('has version 9 of the GGUF format, but only versions 2 and 3 can be read; a newer Drawbridge may read it')
    const swapped = tinyModel()
    swapped.writeUInt32BE(3, 4)
    expect(await refusal(fileOf('big-endian.gguf', swapped))).toBe('is a big-endian GGUF file, which this machine cannot use')
  })

  it('refuses a damaged header', async () => {
    const damaged = tinyModel()
    damaged.fill(0xFF, 24, 64)
    expect(await refusal(fileOf('damaged.gguf', damaged))).toMatch(/^is damaged or truncated: its header cannot be read \(.+\)$/)
  })

  it.each([
    ['adapter', tinyModel({ 'general.type': 'adapter' }), 'is a LoRA adapter, not a model; give the model it belongs to'],
    ['adapter of', tinyModel({ 'general.type': 'adapter', 'general.base_model.0.name': 'Chat' }), 'is a LoRA adapter for Chat, not a model; give the model it belongs to'],
    ['imatrix', tinyModel({ 'general.type': 'imatrix' }), 'holds "imatrix", not a model'],
    ['mmproj', tinyModel({ 'general.type': 'mmproj' }, 'clip'), "is an image projector (mmproj), not a language model; give the language model's own file"],
    ['named like a member of all objects', writeGguf({ metadata: { 'general.architecture': '__proto__' } }), 'has no vocabulary, so it cannot read or write text'],
    ['t5', tinyModel({}, 't5'), 'is an encoder-decoder model (t5), which is not supported'],
    ['t5 encoder', tinyModel({}, 't5encoder'), 'is the encoder of an encoder-decoder model (t5encoder), which is not supported'],
    ['no architecture', writeGguf({ metadata: { 'general.name': 'x' } }), 'does not name its architecture (general.architecture), so it is no model'],
    ['no vocabulary', writeGguf({ metadata: { 'general.architecture': 'llama' } }), 'has no vocabulary, so it cannot read or write text']
  ])('refuses other things that come as GGUF: %s', async (name, content, message) => {
    expect(await refusal(fileOf(`${name.replace(' ', '-')}.gguf`, content))).toBe(message)
  })
})

describe('how a model makes vectors', () => {
  it.each([
    ['not at all', tinyModel(), null],
    ['not at all, as the file says', tinyModel({ 'llama.pooling_type': 0 }), null],
    ['as BERT, of which the file says nothing', tinyModel({}, 'bert'), 'mean'],
    ['as an encoder without pooling', tinyModel({ 'nomic-bert.pooling_type': 0 }, 'nomic-bert'), 'mean'],
    ['as the file says', tinyModel({ 'bert.pooling_type': 2 }, 'bert'), 'cls'],
    ['as the file of a decoder says', tinyModel({ 'qwen3.pooling_type': 3 }, 'qwen3'), 'last'],
    ['as a reranker', tinyModel({ 'bert.pooling_type': 4 }, 'bert'), 'rank'],
    ['as a decoder that sees what comes after', tinyModel({ 'llama.attention.causal': false }), 'mean'],
    ['by a number that nobody knows', tinyModel({ 'llama.pooling_type': 77 }), null]
  ] as const)('%s', async (_, content, pooling) => {
    expect((await readModelFile([fileOf('pooling.gguf', content)])).pooling).toBe(pooling)
  })

  it('needs no cache where the model is an encoder', async () => {
    const cacheOf = async (content: Buffer) => (await readModelFile([fileOf('cache.gguf', content)])).kvBytesPerToken
    expect(await cacheOf(tinyModel({ 'bert.attention.head_count': 4 }, 'bert'))).toBe(0)
    expect(await cacheOf(tinyModel({ 'qwen3.pooling_type': 3, 'qwen3.attention.head_count': 4 }, 'qwen3'))).toBeGreaterThan(0)
  })
})

describe('the context that a model was trained for', () => {
  it('is unknown where the file says nonsense', async () => {
    const contextOf = async (length: number) => (await readModelFile([fileOf('context.gguf', tinyModel({ 'llama.context_length': length }))])).trainContextSize
    expect(await contextOf(1024)).toBe(1024)
    expect(await contextOf(0)).toBeNull()
  })
})

describe('the size of the KV cache', () => {
  const bytesOf = async (metadata: Parameters<typeof tinyModel>[0]) =>
    (await readModelFile([fileOf('shape.gguf', tinyModel(metadata))])).kvBytesPerToken

  it('comes from layers, heads and width', async () => {
    expect(await bytesOf({})).toBe(2 * 2 * (16 + 16) * 2)
  })

  it('prefers lengths that are written, and takes heads by layer', async () => {
    expect(await bytesOf({ 'llama.attention.key_length': 24, 'llama.attention.value_length': 8 })).toBe(2 * 2 * (24 + 8) * 2)
    expect(await bytesOf({ 'llama.attention.head_count_kv': [1, 0] })).toBe((16 + 16) * 2)
  })

  it('is unknown where the file says too little', async () => {
    const content = writeGguf({ metadata: { 'general.architecture': 'odd', 'tokenizer.ggml.tokens': ['a'] } })
    expect(await readModelFile([fileOf('odd.gguf', content)])).toMatchObject({ kvBytesPerToken: null, trainContextSize: null, name: null, quantization: null })
  })
})

describe('models in several files', () => {
  it('adds up all parts', async () => {
    const first = fileOf('split-00001-of-00002.gguf', tinyModel())
    const second = fileOf('split-00002-of-00002.gguf', writeGguf({ metadata: { 'split.no': 1 }, tensors: [{ name: 'blk.1', shape: [64, 64] }] }))
    const model = await readModelFile([first, second])
    expect(model.path).toBe(first)
    expect(model.parameterCount).toBe(64 * 3 + 64 + 64 * 64)
    expect(model.sizeBytes).toBe(readFileSync(first).length + readFileSync(second).length)
  })

  it('names the part that is truncated', async () => {
    const first = fileOf('part-00001-of-00002.gguf', tinyModel())
    const second = fileOf('part-00002-of-00002.gguf', tinyModel().subarray(0, -32))
    await expect(readModelFile([first, second])).rejects.toThrow(`${second} is truncated`)
  })
})
