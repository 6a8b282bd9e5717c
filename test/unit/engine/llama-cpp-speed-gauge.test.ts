import { describe, expect, it } from 'vitest'
import type { ComputeSetting } from '../../../src/engine/llama-cpp/choose-setting.ts'
import type { NativeContext } from '../../../src/engine/llama-cpp/native.ts'
import { cellsPerSlot, SpeedGauge } from '../../../src/engine/llama-cpp/speed-gauge.ts'

/** A context whose decodes take a set time for each token and each decode, and that checks positions as llama.cpp does. */
class FakeContext {
  readonly caches: number[]
  batch: [slot: number, tokens: number][] = []
  threads = 0
  isDisposed = false
  readonly #clock: { now: number }
  readonly #decodeMs: number

  constructor (clock: { now: number }, decodeMs: number, slots: number) {
    this.#clock = clock
    this.#decodeMs = decodeMs
    this.caches = new Array<number>(slots).fill(0)
  }

  setThreads (threads: number): void { this.threads = threads }
  initBatch (): void { this.batch = [] }

  addToBatch (slot: number, position: number, tokens: Uint32Array): Uint32Array {
    if (this.caches[slot] !== position) throw new Error(`slot ${slot} holds ${this.caches[slot]} tokens, not ${position}`)
    if (position + tokens.length > cellsPerSlot) throw new Error(`slot ${slot} is full`)
    this.caches[slot] = position + tokens.length
    this.batch.push([slot, tokens.length])
    return Uint32Array.of(0)
  }

  async decodeBatch (): Promise<void> {
    this.#clock.now += (this.#decodeMs + this.batch.reduce((sum, [, tokens]) => sum + tokens, 0) / 10) / this.threads
  }

  removeTokenCellsFromSequence (slot: number): boolean {
    this.caches[slot] = 0
    return true
  }

  async copySequenceStateFromOtherSequence (target: number, source: number): Promise<number> {
    this.caches[target] = this.caches[source] ?? 0
    return 0
  }

  async dispose (): Promise<void> { this.isDisposed = true }
}

function setUp (decodeMs: number) {
  const clock = { now: 0 }
  const contexts: { readonly setting: ComputeSetting, readonly context: FakeContext }[] = []
  const gauge = new SpeedGauge({
    createContext: async (setting) => {
      const context = new FakeContext(clock, decodeMs, 4)
      contexts.push({ setting, context })
      return context as unknown as NativeContext
    },
    slotsPerLane: 4,
    token: 7,
    now: () => clock.now
  })
  return { gauge, contexts }
}

describe('the speed gauge', () => {
  it.each([[1, 128], [3, 64], [30, 16]])('measures prompt tokens, single steps and full ones when a decode takes %d ms', async (decodeMs, promptTokens) => {
    const { gauge } = setUp(decodeMs)
    const setting = { threads: 1, flashAttention: true }
    for (let round = 0; round < 3; round++) {
      const speed = await gauge.measure(setting)
      expect(speed?.promptTokenMs).toBeCloseTo(decodeMs / promptTokens + 0.1)
      expect(speed?.singleStepMs).toBeCloseTo(decodeMs + 0.1)
      expect(speed?.fullStepMs).toBeCloseTo(decodeMs + 0.4)
    }
  })

  it('makes one context with flash attention and one without, and sets the threads of each measurement', async () => {
    const { gauge, contexts } = setUp(2)
    for (const threads of [1, 2]) for (const flashAttention of [true, false]) await gauge.measure({ threads, flashAttention })
    expect(contexts.map(({ setting }) => setting.flashAttention)).toEqual([true, false])
    expect((await gauge.measure({ threads: 2, flashAttention: false }))?.singleStepMs).toBeCloseTo(2.1 / 2)
    expect(contexts.every(({ context }) => context.threads === 2)).toBe(true)
  })

  it('gives up on a model whose steps take too long', async () => {
    const { gauge, contexts } = setUp(60)
    expect(await gauge.measure({ threads: 1, flashAttention: true })).toBeNull()
    expect(contexts[0]?.context.caches).toEqual([3, 0, 0, 0])
  })

  it('frees its contexts', async () => {
    const { gauge, contexts } = setUp(2)
    await gauge.measure({ threads: 1, flashAttention: true })
    await gauge[Symbol.asyncDispose]()
    expect(contexts.map(({ context }) => context.isDisposed)).toEqual([true])
  })
})
