import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type LlamaCppEngineOptions, silentLogger } from '../../../src/engine/llama-cpp/engine-options.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { EngineDriver } from './engine-driver.ts'

const demo = join(import.meta.dirname, '../../../models/demo/drawbridge-demo-q8_0.gguf')

describe('calibration of the demo model', () => {
  let folder: string
  let messages: [details: Record<string, unknown>, message: string][]
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-calibration-'))
    messages = []
  })
  afterEach(() => { rmSync(folder, { recursive: true }) })

  const create = async (changes: Partial<LlamaCppEngineOptions> = {}) => await createLlamaCppEngine({
    modelPath: demo,
    gpu: 'off',
    gpuLayers: 'auto',
    threads: 1,
    laneCount: 1,
    slotsPerLane: 4,
    contextSize: 256,
    maxStepTokens: 64,
    cacheFolder: folder,
    logger: { ...silentLogger, info: (details, message) => { messages.push([details as Record<string, unknown>, message]) } },
    ...changes
  })

  it('measures once, says what came of it, and is remembered', { retry: 3 }, async () => {
    messages = []
    let chosen: boolean
    {
      await using engine = await create({ calibrate: 'attention' })
      chosen = engine.info.flashAttention
      expect(engine.info.threads).toBe(1)
    }
    expect(messages).toEqual([[expect.objectContaining({ threads: 1, flashAttention: chosen }), 'calibrated']])
    for (const speed of messages[0]?.[0]['speeds'] as Record<string, number>[]) {
      for (const rate of ['promptTokensPerSecond', 'stepsPerSecond', 'fullStepsPerSecond']) expect(speed[rate]).toBeGreaterThan(0)
    }
    {
      await using engine = await create({ calibrate: 'attention' })
      expect(engine.info.flashAttention).toBe(chosen)
    }
    expect(messages[1]).toEqual([{ threads: 1, flashAttention: chosen }, 'calibrated at an earlier start'])

    // Fewer slots are another question.
    await using engine = await create({ calibrate: 'attention', slotsPerLane: 2 })
    expect(engine.info.slotsPerLane).toBe(2)
    expect(messages[2]?.[1]).toMatch(/^(not )?calibrated(?! at an earlier start)/)
  })

  it('leaves an engine that answers as it would without', async () => {
    const answers: string[] = []
    for (const options of [{ flashAttention: true }, { flashAttention: false }, { calibrate: 'all' }] as const) {
      await using engine = await create(options)
      if ('flashAttention' in options) expect(engine.info.flashAttention).toBe(options.flashAttention)
      const driver = new EngineDriver(engine)
      const prompt = engine.tokenizer.tokenize('<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n', { special: true })
      const { drawn } = await driver.alone(prompt, 12)
      answers.push(drawn.map((token) => engine.tokenizer.tokenText(token)).join(''))
    }
    expect(answers[0]).toContain('Drawbridge')
    expect(answers).toEqual([answers[0], answers[0], answers[0]])
  })

  it('does not happen unless it is asked for', async () => {
    await using engine = await create()
    expect(engine.info).toMatchObject({ threads: 1, flashAttention: true })
    expect(messages).toEqual([])
  })
})
