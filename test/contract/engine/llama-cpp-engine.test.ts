import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adapterKey, baseAdapterSet, createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, asToken, type Token } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import type { Engine } from '../../../src/engine/engine.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import type { LlamaCppEngineOptions } from '../../../src/engine/llama-cpp/engine-options.ts'
import type { SlotWork } from '../../../src/scheduler/plan.ts'
import { tinyModel } from '../../support/gguf-writer.ts'
import { type DrivenSequence, EngineDriver, greedyWithRunnerUp } from './engine-driver.ts'

const demo = join(import.meta.dirname, '../../../models/demo')
const ask = (text: string): string => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`

const options: LlamaCppEngineOptions = {
  modelPath: join(demo, 'drawbridge-demo-q8_0.gguf'),
  gpu: 'off',
  gpuLayers: 'auto',
  threads: 1,
  laneCount: 1,
  slotsPerLane: 8,
  contextSize: 256,
  maxStepTokens: 256
}

describe('llama.cpp engine', () => {
  let engine: Engine
  let driver: EngineDriver
  const tokenize = (text: string): Token[] => engine.tokenizer.tokenize(text, { special: true })

  beforeAll(async () => {
    engine = await createLlamaCppEngine(options)
    driver = new EngineDriver(engine)
  })

  afterAll(async () => { await engine[Symbol.asyncDispose]() })

  it('knows the demo model', () => {
    expect(engine.info.model).toMatchObject({
      architecture: 'llama', name: 'Drawbridge Demo', vocabularySize: 1792, trainContextSize: 2048, addsBos: false, eosText: '<|im_end|>'
    })
    expect(engine.info.model.chatTemplate).toContain('<|im_start|>')
    expect(engine.info.model.controlTexts.toSorted()).toEqual(['<|endoftext|>', '<|im_end|>', '<|im_start|>'])
    expect(engine.info.endTokens.map((token) => engine.tokenizer.tokenText(token)).toSorted()).toEqual(['<|endoftext|>', '<|im_end|>'])
    expect(engine.info.placement).toBe('cpu')
    expect(engine.info.build).toMatch(/^node-llama-cpp [\d.]+, llama\.cpp \S+, cpu, prebuilt$/)
  })

  it('finds an idle slot as it was that steps took along, and draws the same beside it', async () => {
    await using bridging = await createLlamaCppEngine({ ...options, bridging: 'always' })
    const answers = async (own: EngineDriver): Promise<readonly (readonly Token[])[]> => {
      const [first, idle, last] = ['Count to 20.', 'Tell me a story.', 'Hello!'].map((text, slot) => own.sequence(tokenize(ask(text)), { slot, sampling: greedySampling })) as [DrivenSequence, DrivenSequence, DrivenSequence]
      await own.run([first, idle, last], 3)
      await own.run([first, last], 8)
      await own.run([idle], 12)
      own.end(first, idle, last)
      return [first, idle, last].map(({ drawn }) => drawn)
    }
    expect(await answers(new EngineDriver(bridging))).toEqual(await answers(driver))
  })

  it('gives the bytes of any text back', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      const tokens = engine.tokenizer.tokenize(text, { special: false })
      expect(Buffer.concat(tokens.map((token) => engine.tokenizer.tokenBytes(token)))).toEqual(Buffer.from(text))
    }), { numRuns: 500 })
  })

  it('refuses tokens outside the vocabulary', () => {
    for (const token of [-1, 1792, 1.5]) expect(() => engine.tokenizer.tokenBytes(asToken(token))).toThrow(RangeError)
  })

  // Law 9 on the real model: many prompts that come and go at different times, read in pieces, in whatever slot is free.
  it('gives sequences in a crowd what each gets alone', async () => {
    const questions = [
      'Who are you?', 'Count from 1 to 30.', 'Tell me a story.', 'What is the capital of France?', 'List five animals.',
      'What is 3 + 4?', 'Tell me a joke.', 'What colour is the sky?', 'What is a LoRA adapter?', 'How are you?'
    ]
    const prompts = Array.from({ length: 40 }, (_, index) =>
      tokenize(ask(`${questions[index % 10]}${index < 10 ? '' : ` Please, number ${index}.`}`)))
    const count = 24
    const alone = []
    for (const prompt of prompts) alone.push(await driver.alone(prompt, count))

    const crowd = prompts.map((prompt, index) => driver.sequence(prompt, { slot: index % 8 }))
    const isDone = ({ drawn }: typeof crowd[number]): boolean => drawn.length >= count || engine.info.endTokens.includes(drawn.at(-1)!)
    for (let step = 0; crowd.some((sequence) => !isDone(sequence)); step++) {
      // One joins every other step; whoever is first for a slot holds it.
      const present = crowd.slice(0, 1 + step / 2).filter((sequence) => !isDone(sequence))
      const slots = new Map(present.toReversed().map((sequence) => [sequence.slot, sequence]))
      await driver.step([...slots.values()].map((sequence) => [sequence, { chunk: 1 + (step * 7 + sequence.slot * 5) % 13 }]))
    }
    driver.end(...crowd)
    for (const [index, sequence] of crowd.entries()) {
      const expected = alone[index]!
      const at = sequence.drawn.findIndex((token, position) => token !== expected.drawn[position])
      if (at < 0 && sequence.drawn.length === expected.drawn.length) continue
      // Matrix products of another batch size may round otherwise: only a near tie may fall to the other side.
      const [best, second] = expected.logprobs[at]?.top ?? []
      expect(sequence.drawn[at]).toBe(second?.token)
      expect(best!.logprob - second!.logprob).toBeLessThan(0.02)
    }
  })

  describe('what a wrong plan costs', () => {
    const work = (slot: number, part: Partial<SlotWork> = {}): SlotWork => ({
      slot: asSlotId(slot), sequence: asSequenceId(`wrong-${slot}`), keep: 0, tokens: tokenize('Hello'), ...part
    })
    const step = async (parts: readonly SlotWork[], lane = 0) => await engine.step({
      id: 0, lane: asLaneId(lane), threads: 1, adapters: baseAdapterSet, released: [], work: parts
    })

    it.each<[string, Partial<SlotWork>]>([
      ['keeps more than there is', { keep: 200 }],
      ['appends nothing', { tokens: [] }],
      ['appends more than the slot holds', { keep: 0, tokens: new Array<Token>(257).fill(asToken(5)) }],
      ['has a token outside the vocabulary', { tokens: [asToken(1792)] }],
      ['copies a slot to itself', { copyFrom: asSlotId(3) }],
      ['copies from a slot that is not there', { copyFrom: asSlotId(99) }]
    ])('only its slot, when it %s', async (_, part) => {
      const isTooLong = (part.tokens?.length ?? 0) > options.maxStepTokens
      const outcomes = step([work(3, part), work(4, { sample: { sampling: greedySampling, index: 0, history: tokenize('Hello'), promptLength: 1 } })])
      if (isTooLong) {
        await expect(outcomes).rejects.toMatchObject({ code: 'engine_error' })
        return
      }
      expect(await outcomes).toContainEqual({ slot: 3, error: expect.objectContaining({ code: 'engine_error' }) })
      expect(await outcomes).toContainEqual({ slot: 4, token: expect.any(Number) })
      expect(await step([work(3)])).toEqual([{ slot: 3, token: null }])
    })

    it('only its slot, when a logit bias names a token outside the vocabulary', async () => {
      const sampling = { ...greedySampling, logitBias: [[1792, 1]] as [number, number][] }
      const [outcome] = await step([work(3, { sample: { sampling, index: 0, history: tokenize('Hello'), promptLength: 1 } })])
      expect(outcome).toMatchObject({ slot: 3, error: { code: 'invalid_value' } })
    })

    it('the step, when there is no such lane, the adapter is not loaded, or the lane is at work', async () => {
      await expect(step([work(0)], 1)).rejects.toMatchObject({ code: 'engine_error' })
      const adapters = createAdapterSet([{ name: 'absent', generation: 1, scale: 1 }])
      await expect(engine.step({ id: 0, lane: asLaneId(0), threads: 1, adapters, released: [], work: [work(0)] }))
        .rejects.toMatchObject({ code: 'engine_error' })
      const first = step([work(0)])
      await expect(step([work(1)])).rejects.toMatchObject({ code: 'engine_error' })
      await expect(first).resolves.toEqual([{ slot: 0, token: null }])
    })
  })

  describe('adapters', () => {
    const key = (name: string) => adapterKey({ name, generation: 1 })
    const path = (name: string): string => join(demo, 'adapters', `${name}.gguf`)
    const { signal } = new AbortController()

    it('are refused when they fit another model, or are none', async () => {
      const before = await driver.alone(tokenize(ask('Hello!')), 12)
      for (const file of [path('misfit'), options.modelPath, join(demo, 'README.md'), join(demo, 'adapters/pirate-peft/adapter_model.safetensors')]) {
        await expect(engine.loadAdapter(key('misfit'), { path: file }, signal)).rejects.toMatchObject({ code: 'invalid_adapter' })
      }
      expect((await driver.alone(tokenize(ask('Hello!')), 12)).drawn).toEqual(before.drawn)
    })

    it('speak as they were trained to', async () => {
      await engine.loadAdapter(key('shout'), { path: path('shout') }, signal)
      const adapters = createAdapterSet([{ name: 'shout', generation: 1, scale: 1 }])
      const { drawn } = await driver.alone(tokenize(ask('Who are you?')), 24, { adapters })
      const text = Buffer.concat(drawn.map((token) => engine.tokenizer.tokenBytes(token))).toString()
      expect(text).toBe(text.toUpperCase())
      expect(text).toMatch(/[A-Z]{3}/)
      await engine.unloadAdapter(key('shout'))
    })

    it('can be unloaded while the last step that uses them still runs', async () => {
      await engine.loadAdapter(key('pirate'), { path: path('pirate') }, signal)
      const adapters = createAdapterSet([{ name: 'pirate', generation: 1, scale: 1 }])
      const sequence = driver.sequence(tokenize(ask('Hello!')), { adapters })
      const running = driver.step([[sequence]])
      await engine.unloadAdapter(key('pirate'))
      await running
      driver.end(sequence)
      expect((await driver.alone(tokenize(ask('Hello!')), 4)).drawn).toHaveLength(4)
    })
  })

  describe('loading', () => {
    it.each([
      ['is not there', join(demo, 'absent.gguf')],
      ['is no GGUF', join(demo, 'README.md')],
      ['is an adapter', join(demo, 'adapters/pirate.gguf')]
    ])('fails with a clear error when the file %s, and leaves other engines alone', async (_, modelPath) => {
      await expect(createLlamaCppEngine({ ...options, modelPath })).rejects.toMatchObject({ code: 'engine_error' })
      expect((await driver.alone(tokenize(ask('Hello!')), 4, { sampling: greedyWithRunnerUp })).drawn).toHaveLength(4)
    })

    it('fails with an error that names the option when the draft model is none of the model’s, and says why', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'drawbridge-draft-'))
      const other = join(folder, 'other.gguf')
      await writeFile(other, tinyModel())
      try {
        for (const [draftModelPath, reason] of [
          [other, "its vocabulary has 3 tokens, the model's has 1792"],
          [join(demo, 'absent.gguf'), 'no such file'],
          [join(demo, 'README.md'), ''],
          [join(demo, 'adapters/pirate.gguf'), 'LoRA adapter']
        ] as const) {
          const message = expect.stringMatching(new RegExp(`^The draft model ${draftModelPath} \\(--draft-model\\) cannot be used: .*${reason}`))
          await expect(createLlamaCppEngine({ ...options, draftModelPath })).rejects.toMatchObject({ code: 'engine_error', message })
        }
      } finally {
        await rm(folder, { recursive: true })
      }
    })

    it('fails where the GPU that was asked for is not, and names the flag', async () => {
      const gpu = process.platform === 'darwin' ? 'cuda' : 'metal'
      await expect(createLlamaCppEngine({ ...options, gpu }))
        .rejects.toMatchObject({ code: 'engine_error', message: expect.stringMatching(`^--gpu is ${gpu}, but .*--gpu off`) })
    })

    it.skipIf(process.platform === 'darwin' || existsSync('/dev/nvidiactl') || existsSync('/dev/dxg'))(
      'fails where there is no NVIDIA driver for CUDA, and names the flag', async () => {
        await expect(createLlamaCppEngine({ ...options, gpu: 'cuda' }))
          .rejects.toMatchObject({ code: 'engine_error', message: expect.stringMatching('^--gpu is cuda, but no CUDA device') })
      })

    it('stops when it is told to', async () => {
      const reason = new Error('never mind')
      await expect(createLlamaCppEngine({ ...options, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    })

    it('tells of its progress', async () => {
      const progress: number[] = []
      const another = await createLlamaCppEngine({ ...options, slotsPerLane: 1, onProgress: (done) => { progress.push(done) } })
      await another[Symbol.asyncDispose]()
      expect(progress.at(-1)).toBe(1)
      await expect(another.step({ id: 1, lane: asLaneId(0), threads: 1, adapters: baseAdapterSet, released: [], work: [] })).rejects.toThrow()
    })
  })
})
