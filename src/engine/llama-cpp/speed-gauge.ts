import type { ComputeSetting, Speed } from './choose-setting.ts'
import type { NativeContext } from './native.ts'

export interface SpeedGaugeOptions {
  /** Makes a context of `slotsPerLane` sequences, each with room for `cellsPerSlot` tokens. */
  readonly createContext: (setting: ComputeSetting) => Promise<NativeContext>
  readonly slotsPerLane: number
  /** A token that any model has. */
  readonly token: number
  readonly now: () => number
}

/** Tokens that a slot must hold for a measurement. */
export const cellsPerSlot = 256

/** Beyond it a few rounds of two settings take more time than a start should. */
const slowestStepMs = 50

/** What is done in one measurement: more where it takes little time, to be exact. */
interface Amounts {
  readonly promptTokens: number
  readonly singleSteps: number
  readonly fullSteps: number
}

/**
 * Measures how fast a model is with a setting, in contexts of its own: reading a prompt, then decoding after it. Only the
 * times count; what is decoded goes nowhere.
 */
export class SpeedGauge implements AsyncDisposable {
  readonly #options: SpeedGaugeOptions
  /** One with flash attention and one without; threads change between steps. */
  readonly #contexts = new Map<boolean, NativeContext>()
  #amounts: Amounts | null = null

  constructor (options: SpeedGaugeOptions) {
    this.#options = options
  }

  /** @returns null when a single step takes so long that there is no time to measure in. */
  async measure (setting: ComputeSetting): Promise<Speed | null> {
    const context = await this.#contextOf(setting)
    context.setThreads(setting.threads)
    this.#amounts ??= await this.#chooseAmounts(context)
    if (this.#amounts === null) return null
    const { promptTokens, singleSteps, fullSteps } = this.#amounts
    const { slotsPerLane } = this.#options

    for (let slot = 0; slot < slotsPerLane; slot++) context.removeTokenCellsFromSequence(slot, 0, -1)
    const promptMs = await this.#time(async () => await this.#decode(context, [0], 0, promptTokens))
    for (let slot = 1; slot < slotsPerLane; slot++) await context.copySequenceStateFromOtherSequence(slot, 0)
    const slots = Array.from({ length: slotsPerLane }, (_, slot) => slot)
    // The first step after a copy moves the copied cells; it is not a step like others.
    await this.#decode(context, slots, promptTokens, 1)
    const fullMs = await this.#time(async () => {
      for (let step = 1; step <= fullSteps; step++) await this.#decode(context, slots, promptTokens + step, 1)
    })
    const start = promptTokens + fullSteps + 1
    const singleMs = await this.#time(async () => {
      for (let step = 0; step < singleSteps; step++) await this.#decode(context, [0], start + step, 1)
    })
    return { promptTokenMs: promptMs / promptTokens, singleStepMs: singleMs / singleSteps, fullStepMs: fullMs / fullSteps }
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    for (const context of this.#contexts.values()) await context.dispose()
    this.#contexts.clear()
  }

  async #contextOf (setting: ComputeSetting): Promise<NativeContext> {
    let context = this.#contexts.get(setting.flashAttention)
    if (context === undefined) {
      context = await this.#options.createContext(setting)
      this.#contexts.set(setting.flashAttention, context)
    }
    return context
  }

  /** By the time of a step, after one that reads the weights into memory. The faster of two, since one may be held up. */
  async #chooseAmounts (context: NativeContext): Promise<Amounts | null> {
    await this.#decode(context, [0], 0, 1)
    const stepMs = Math.min(
      await this.#time(async () => await this.#decode(context, [0], 1, 1)),
      await this.#time(async () => await this.#decode(context, [0], 2, 1)))
    if (stepMs > slowestStepMs) return null
    if (stepMs < 2) return { promptTokens: 128, singleSteps: 8, fullSteps: 4 }
    return stepMs < 4 ? { promptTokens: 64, singleSteps: 3, fullSteps: 2 } : { promptTokens: 16, singleSteps: 1, fullSteps: 1 }
  }

  async #decode (context: NativeContext, slots: readonly number[], position: number, count: number): Promise<void> {
    const tokens = new Uint32Array(count).fill(this.#options.token)
    context.initBatch(slots.length * count)
    for (const slot of slots) {
      // Of a prompt only the last token's logits are of use.
      context.addToBatch(slot, position, tokens, Uint32Array.of(count - 1))
    }
    await context.decodeBatch()
  }

  async #time (work: () => Promise<void>): Promise<number> {
    const start = this.#options.now()
    await work()
    return this.#options.now() - start
  }
}
