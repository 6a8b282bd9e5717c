import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prepareAdapter } from '../../../src/adapters/files/prepare-adapter.ts'
import { adapterKey, createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { Random } from '../../../src/domain/random.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { createMutants } from '../../support/adapter-mutants.ts'
import { EngineDriver } from './engine-driver.ts'

const demo = join(import.meta.dirname, '../../../models/demo')
const modelPath = join(demo, 'drawbridge-demo-q8_0.gguf')
const ask = (text: string): string => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`
const signal = new AbortController().signal

describe('adapter files that were checked, in llama.cpp', () => {
  let engine: Engine
  let driver: EngineDriver
  let folder = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-checked-'))
    engine = await createLlamaCppEngine({
      modelPath, gpu: 'off', gpuLayers: 'auto', threads: 1, laneCount: 1, slotsPerLane: 1, contextSize: 256, maxStepTokens: 256
    })
    driver = new EngineDriver(engine)
  })

  afterAll(async () => {
    await engine[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  const prepare = async (path: string) =>
    await prepareAdapter(path, { modelPaths: [modelPath], limits: { maxRank: 64, maxSizeBytes: 1 << 24 }, folder, signal })

  /** Loads a file, answers with it, and lets it go. */
  async function answers (name: string, path: string, prompts: readonly string[], length: number): Promise<string[]> {
    const adapter = { name, generation: 1, scale: 1 }
    await engine.loadAdapter(adapterKey(adapter), { path }, signal)
    const texts: string[] = []
    for (const prompt of prompts) {
      const { drawn } = await driver.alone(engine.tokenizer.tokenize(ask(prompt), { special: true }), length, { adapters: createAdapterSet([adapter]) })
      texts.push(drawn.map((token) => engine.tokenizer.tokenText(token)).join(''))
    }
    await engine.unloadAdapter(adapterKey(adapter))
    return texts
  }

  it('a PEFT folder answers as the GGUF of the same adapter', async () => {
    const prompts = ['Hello! How are you?', 'Who are you, and what can you do?', 'Tell me a story.', 'List five animals, please.']
    const { file } = await prepare(join(demo, 'adapters/pirate-peft'))
    const fromFolder = await answers('folder', file.path, prompts, 48)
    expect(fromFolder).toEqual(await answers('gguf', join(demo, 'adapters/pirate.gguf'), prompts, 48))
    expect(fromFolder.join('\n')).toMatch(/ahoy|arr|matey/i)
  })

  it('what passes the checks can be loaded and computed with', async () => {
    const mutants = createMutants(readFileSync(join(demo, 'adapters/pirate.gguf')), new Random(3), 12)
    const path = join(folder, 'mutant.gguf')
    let loaded = 0
    for (const { bytes, isValid } of mutants) {
      writeFileSync(path, bytes)
      const prepared = await prepare(path).catch(() => null)
      expect(prepared !== null).toBe(isValid)
      if (prepared === null) continue
      const [text] = await answers(`mutant-${loaded++}`, prepared.file.path, ['Hello!'], 2)
      expect(typeof text).toBe('string')
    }
    expect(loaded).toBeGreaterThan(10)
  })
})
