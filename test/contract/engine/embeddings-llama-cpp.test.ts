import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getLlama } from 'node-llama-cpp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, type Token } from '../../../src/domain/ids.ts'
import type { Pooling } from '../../../src/domain/pooling.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import type { LlamaCppEngineOptions } from '../../../src/engine/llama-cpp/engine-options.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { encoderContextSize, encoderWidth, writeTinyEncoder } from '../../support/random-encoder.ts'
import { describeEmbeddings, describeRanking, embeddingOf } from './embedding-contract.ts'

const folder = await mkdtemp(join(tmpdir(), 'drawbridge-encoders-'))
afterAll(async () => { await rm(folder, { recursive: true }) })

const demo = join(import.meta.dirname, '../../../models/demo')

const create = async (changes: Partial<LlamaCppEngineOptions>): Promise<Engine> => await createLlamaCppEngine({
  modelPath: join(demo, 'drawbridge-demo-q8_0.gguf'),
  gpu: 'off',
  gpuLayers: 'auto',
  threads: 1,
  laneCount: 1,
  slotsPerLane: 1,
  contextSize: encoderContextSize,
  maxStepTokens: encoderContextSize,
  ...changes
})
const createEncoder = async (pooling: Pooling, changes: Partial<LlamaCppEngineOptions> = {}): Promise<Engine> =>
  await create({ modelPath: await writeTinyEncoder(folder, pooling), ...changes })

describeEmbeddings('llama.cpp with a tiny BERT', async () => await createEncoder('mean', { laneCount: 2 }),
  { pooling: 'mean', size: encoderWidth, maxTokens: encoderContextSize })

describeRanking('llama.cpp with a tiny BERT', async () => await createEncoder('rank'))

const lane = asLaneId(0)
const texts = ['ba da hello, world!', 'x', 'the quick brown fox jumps over 13 lazy dogs (and a cat)', '[SEP] is text', 'Ünknown wörds 日本']

/** Computed another way too: sums of floats may differ in their last digits. */
const expectNear = (vector: ArrayLike<number>, other: ArrayLike<number>): void => {
  expect(vector.length).toBe(other.length)
  const difference = Math.max(...Array.from(vector, (value, index) => Math.abs(value - (other[index] ?? NaN))))
  expect(difference).toBeLessThan(1e-4)
}

describe('llama.cpp embeddings', () => {
  const engines: Engine[] = []
  const keep = (engine: Engine): Engine => {
    engines.push(engine)
    return engine
  }
  let llama: Awaited<ReturnType<typeof getLlama>>
  beforeAll(async () => { llama = await getLlama({ gpu: false, build: 'never', maxThreads: 2, logger: () => {} }) })
  afterAll(async () => { for (const engine of engines) await engine[Symbol.asyncDispose]() })

  it.each(['mean', 'cls', 'last'] as const)('pools by the file: %s, as the bindings\' own embedding context does', async (pooling) => {
    const engine = keep(await createEncoder(pooling))
    const model = await llama.loadModel({ modelPath: await writeTinyEncoder(folder, pooling) })
    const context = await model.createEmbeddingContext({ contextSize: encoderContextSize, threads: 1 })
    const { frame } = embeddingOf(engine)
    expect(embeddingOf(engine)).toMatchObject({ pooling, size: encoderWidth, frame: { before: [2], after: [3] } })
    for (const text of texts) {
      const vector = await engine.embed(lane, [...frame.before, ...engine.tokenizer.tokenize(text, { special: false }), ...frame.after])
      expectNear(vector, (await context.getEmbeddingFor(text)).vector)
    }
    await model.dispose()
  })

  it('ranks as the bindings\' own context does with the pairs of BERT', async () => {
    const engine = keep(await createEncoder('rank'))
    const model = await llama.loadModel({ modelPath: await writeTinyEncoder(folder, 'rank') })
    const context = await model.createRankingContext({ contextSize: encoderContextSize, threads: 1, template: '{{query}}[SEP]{{document}}[SEP]' })
    const { frame } = embeddingOf(engine)
    const plain = (text: string): readonly Token[] => engine.tokenizer.tokenize(text, { special: false })
    const [query = '', ...documents] = texts
    for (const document of documents) {
      const score = await engine.embed(lane, [...frame.before, ...plain(query), ...frame.between, ...plain(document), ...frame.after])
      expectNear(score, [await context.rank(query, document)])
    }
    await model.dispose()
  })

  it('keeps control tokens out of texts', () => {
    const [engine] = engines
    expect(engine?.tokenizer.tokenize('[SEP]', { special: true })).toEqual([3])
    expect(engine?.tokenizer.tokenize('[SEP]', { special: false })).not.toContain(3)
  })

  it('refuses steps of a model that only embeds', async () => {
    const [engine] = engines
    await expect(engine?.step({ id: 1, lane, threads: 1, adapters: baseAdapterSet, work: [], released: [] })).rejects.toMatchObject({ code: 'engine_error' })
  })

  it('refuses a context that the encoder has no positions for, before llama.cpp would abort', async () => {
    await expect(createEncoder('mean', { contextSize: encoderContextSize + 1 })).rejects.toMatchObject({ code: 'engine_error' })
  })

  describe('of a model that writes text', () => {
    let engine: Engine
    beforeAll(async () => { engine = keep(await create({ embeddings: true, slotsPerLane: 2, contextSize: 256, maxStepTokens: 64 })) })

    it('are means over its tokens, which see those before them', async () => {
      expect(engine.info.canGenerate).toBeUndefined()
      expect(embeddingOf(engine)).toMatchObject({ pooling: 'mean', size: 192, maxTokens: 64, laneCount: 1 })
      const tokens = engine.tokenizer.tokenize('Tell me a story.', { special: false })
      // A causal model's vector of a prefix stays the same; so the means of prefixes give each token's own.
      const means: Float32Array[] = []
      for (let length = 1; length <= tokens.length; length++) means.push(await engine.embed(lane, tokens.slice(0, length)))
      const first = means[0] ?? new Float32Array()
      const third = means[2] ?? new Float32Array()
      const second = means[1] ?? new Float32Array()
      const ofThird = Array.from(third, (value, index) => 3 * value - 2 * (second[index] ?? NaN))
      expect(Math.max(...ofThird.map((value, index) => Math.abs(value - (first[index] ?? NaN))))).toBeGreaterThan(0.1)

      const model = await llama.loadModel({ modelPath: join(demo, 'drawbridge-demo-q8_0.gguf'), metadataOverrides: { llama: { pooling_type: 1 } } as object })
      const context = await model.createEmbeddingContext({ contextSize: 256, threads: 1 })
      expectNear(means.at(-1) ?? [], (await context.getEmbeddingFor('Tell me a story.')).vector)
      await model.dispose()
    })

    it('leave its answers as they are', async () => {
      const prompt = engine.tokenizer.tokenize('<|im_start|>user\nTell me a story.<|im_end|>\n<|im_start|>assistant\n', { special: true })
      const plain = await create({ slotsPerLane: 2, contextSize: 256, maxStepTokens: 64 })
      try {
        const answer = async (from: Engine, isDisturbed: boolean): Promise<readonly (Token | undefined)[]> => {
          const drawn: Token[] = []
          for (let index = 0; index < 12; index++) {
            if (isDisturbed) await from.embed(lane, prompt.slice(0, 5 + index))
            const history = [...prompt, ...drawn]
            const keepTokens = index === 0 ? 0 : history.length - 1
            const [outcome] = await from.step({
              id: index,
              lane,
              threads: 1,
              adapters: baseAdapterSet,
              released: [],
              work: [{
                slot: asSlotId(0),
                sequence: asSequenceId('s'),
                keep: keepTokens,
                tokens: history.slice(keepTokens),
                sample: { sampling: greedySampling, index, history, promptLength: prompt.length }
              }]
            })
            if (outcome === undefined || !('token' in outcome) || outcome.token === null) throw new Error('It drew no token')
            drawn.push(outcome.token)
          }
          return drawn
        }
        expect(await answer(engine, true)).toEqual(await answer(plain, false))
      } finally {
        await plain[Symbol.asyncDispose]()
      }
    })
  })
})
