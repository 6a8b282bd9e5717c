import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/load-config.ts'
import { readFlags } from '../../../src/config/read-flags.ts'
import type { Machine } from '../../../src/models/machine.ts'
import { demoModelPath } from '../../../src/models/model-source.ts'
import { type PreparedModel, prepareModels } from '../../../src/models/prepare-models.ts'
import { tinyModel } from '../../support/gguf-writer.ts'

let directory = ''
beforeAll(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-drafts-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

const machine: Machine = { availableBytes: 8 * 1024 ** 3, memoryLimit: 'machine', gpu: null, computeThreads: 1, openMpThreads: 1 }
const demoDraft = path.join(path.dirname(demoModelPath()), 'demo-draft-q8_0.gguf')

function fileOf (name: string, tokens: readonly string[]): string {
  const file = path.join(directory, name)
  writeFileSync(file, tinyModel({ 'tokenizer.ggml.tokens': tokens }))
  return file
}

async function prepare (...flags: readonly string[]): Promise<readonly PreparedModel[]> {
  const { config, origins } = loadConfig(readFlags(flags).settings, {})
  return await prepareModels(config, machine, (flag) => origins.get(flag) ?? `--${flag}`)
}

const refusal = async (...flags: readonly string[]): Promise<string> =>
  await prepare(...flags).then(() => 'prepared', (error: unknown) => (error as Error).message)

describe('a draft model', () => {
  it('is found, and given to the engine of its model', async () => {
    const [model] = await prepare('--draft-model', demoDraft)
    expect(model).toMatchObject({ draft: { root: demoDraft }, engine: { options: { modelPath: demoModelPath(), draftModelPath: demoDraft } } })
    expect((await prepare('--draft-model', 'demo'))[0]!.engine).toEqual(model!.engine)
    const [plain] = await prepare()
    expect(plain).toMatchObject({ draft: null, engine: { options: { draftModelPath: undefined } } })
    expect(model!.capacity.estimate!.totalBytes).toBeGreaterThan(plain!.capacity.estimate!.totalBytes)
  })

  it('is not blamed for what is wrong with its model', async () => {
    const broken = path.join(directory, 'broken.gguf')
    writeFileSync(broken, tinyModel().subarray(0, 100))
    const alone = await refusal('--model', broken)
    expect(alone).toContain(`${broken} is `)
    expect(await refusal('--model', broken, '--draft-model', 'demo')).toBe(alone)
    const file = path.join(directory, 'broken.yaml')
    writeFileSync(file, `models: [{ ref: ${broken}, draftModel: demo }]\n`)
    expect(await refusal('--config', file)).toBe(`${alone} (models in ${file})`)
    const embedder = path.join(directory, 'embedder.gguf')
    writeFileSync(embedder, tinyModel({ 'llama.pooling_type': 1 }))
    expect(await refusal('--model', embedder, '--draft-model', 'demo')).toBe(`--draft-model is for models that write text, but the model file ${embedder} is an embedding model (llama)`)
  })

  it('is left out where nothing is to be guessed', async () => {
    const [model] = await prepare('--draft-model', '/nowhere.gguf', '--speculate', 'off')
    expect(model).toMatchObject({ draft: null, engine: { options: { draftModelPath: undefined } } })
  })

  it('of the fake engine is as right as it is told to be, and only there where it is asked for', async () => {
    const [fake] = await prepare('--model', 'fake', '--draft-model', 'fake', '--fake-draft-acceptance', '0.25')
    expect(fake).toMatchObject({ draft: { root: 'fake', file: null }, engine: { backend: 'fake', options: { draftAcceptance: 0.25 } } })
    expect((await prepare('--model', 'fake'))[0]!.engine.options).not.toHaveProperty('draftAcceptance')
  })

  it('is refused with its reason and where it was named', async () => {
    const target = fileOf('target.gguf', ['a', 'b', 'c'])
    expect(await refusal('--draft-model', '/nowhere.gguf')).toBe('The model file /nowhere.gguf cannot be read: it does not exist (--draft-model)')
    const other = fileOf('other.gguf', ['a', 'x', 'c'])
    expect(await refusal('--model', target, '--draft-model', other))
      .toBe(`The draft model ${other} cannot be used for the model ${target}: its token 1 is "x", the model's is "b"; take one of the same family (--draft-model)`)
    expect(await refusal('--draft-model', other))
      .toBe(`The draft model ${other} cannot be used for the model ${demoModelPath()}: its vocabulary has 3 tokens, the model's has 1792; take one of the same family (--draft-model)`)
    expect(await refusal('--model', target, '--draft-model', fileOf('padded.gguf', ['a', 'b', 'c', '[PAD3]']))).toBe('prepared')
    expect(await refusal('--model', 'fake', '--draft-model', 'demo')).toBe(`The draft model ${demoDraft} cannot be used for the model fake: only fake goes with fake (--draft-model)`)
    expect(await refusal('--draft-model', 'fake')).toContain('only fake goes with fake')
    const file = path.join(directory, 'drawbridge.yaml')
    writeFileSync(file, `models: [{ ref: ${target}, draftModel: ${other} }]\n`)
    expect(await refusal('--config', file)).toMatch(new RegExp(`take one of the same family \\(draftModel of models in ${file}\\)$`))
  })
})
