import { asLaneId, asSequenceId, asSlotId, type SequenceId, type Token } from '../../src/domain/ids.ts'
import { baseAdapterSet } from '../../src/domain/adapter-set.ts'
import { greedySampling, type Sampling } from '../../src/domain/sampling.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { createLlamaCppEngine } from '../../src/engine/llama-cpp/llama-cpp-engine.ts'
import type { SlotWork } from '../../src/scheduler/plan.ts'
import type { Layer, LayerOptions, RunOptions } from './layer.ts'

const sampling: Sampling = { ...greedySampling, ignoreEos: true }

/** The engine alone: plans are made by hand, and tokens stay tokens until the clock has stopped. */
export async function createEngineLayer (options: LayerOptions): Promise<Layer> {
  return new EngineLayer(await createLlamaCppEngine(options.engine), options.prompt)
}

class EngineLayer implements Layer {
  readonly #engine: Engine
  readonly #prompt: readonly Token[]
  /** Slots whose cache holds the prompt. */
  readonly #warmSlots = new Set<number>()
  #plans = 0
  #runs = 0
  #released: SequenceId[] = []

  constructor (engine: Engine, prompt: string) {
    this.#engine = engine
    const { addsBos, bosToken } = engine.info.model
    const tokens = engine.tokenizer.tokenize(prompt, { special: false })
    this.#prompt = addsBos && bosToken !== null ? [bosToken, ...tokens] : tokens
  }

  async run ({ streams, tokens }: RunOptions): Promise<() => readonly string[]> {
    const run = ++this.#runs
    const prompt = this.#prompt
    const sequences = Array.from({ length: streams }, (_, slot) => ({
      slot: asSlotId(slot), id: asSequenceId(`${run}/${slot}`), history: [...prompt]
    }))
    for (let index = 0; index < tokens; index++) {
      const work = sequences.map(({ slot, id, history }): SlotWork => {
        const keep = index > 0 ? history.length - 1 : this.#warmSlots.has(slot) ? prompt.length - 1 : 0
        return {
          slot, sequence: id, keep, tokens: history.slice(keep), sample: { sampling, index, history, promptLength: prompt.length }
        }
      })
      const outcomes = await this.#engine.step({
        id: ++this.#plans, lane: asLaneId(0), threads: this.#engine.info.threads, adapters: baseAdapterSet, work, released: this.#released
      })
      this.#released = []
      for (const outcome of outcomes) {
        if ('error' in outcome) throw outcome.error
        if ('isCacheLost' in outcome || outcome.token === null) throw new Error('The engine drew no token')
        sequences[outcome.slot]?.history.push(outcome.token)
      }
    }
    for (const { slot, id } of sequences) {
      this.#warmSlots.add(slot)
      this.#released.push(id)
    }
    const { tokenizer } = this.#engine
    return () => sequences.map(({ history }) =>
      Buffer.concat(history.slice(prompt.length).map((token) => tokenizer.tokenBytes(token))).toString())
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.#engine[Symbol.asyncDispose]()
  }
}
