import { baseAdapterSet } from '../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, type Token } from '../../src/domain/ids.ts'
import { greedySampling } from '../../src/domain/sampling.ts'
import type { Engine } from '../../src/engine/engine.ts'
import type { SlotWork, StepPlan } from '../../src/scheduler/plan.ts'

const sampling = { ...greedySampling, ignoreEos: true }

export interface Workload {
  /** Sequences that decode together, the first slots of lane 0. */
  readonly batchSize: number
  readonly promptTokens: number
  readonly answerTokens: number
  readonly threads: number
}

/** Tokens per second of one run, prompt and answers apart. */
export interface Rates {
  readonly promptRate: number
  readonly decodeRate: number
}

/**
 * Reads a prompt into each slot, one slot after the other in steps as full as the budget allows, then decodes all slots
 * together. Nothing but the engine is in the way: no scheduler, no detokenizing, no HTTP.
 */
export async function measure (engine: Engine, workload: Workload, planIds: Iterator<number>): Promise<Rates> {
  const { batchSize, promptTokens, answerTokens, threads } = workload
  const { maxStepTokens, model } = engine.info
  const step = async (work: readonly SlotWork[]): Promise<Token[]> => {
    const plan: StepPlan = {
      id: planIds.next().value as number, lane: asLaneId(0), threads, adapters: baseAdapterSet, work, released: []
    }
    const outcomes = await engine.step(plan)
    return work.map(({ slot }) => {
      const outcome = outcomes.find((candidate) => candidate.slot === slot)
      if (outcome === undefined || 'error' in outcome) throw outcome?.error ?? new Error(`no outcome for slot ${slot}`)
      if ('isCacheLost' in outcome) throw new Error(`nothing was computed for slot ${slot}`)
      return outcome.token as Token
    })
  }

  // Any tokens will do: the time of a decode does not depend on their values.
  const histories = Array.from({ length: batchSize }, (_, slot) =>
    Array.from({ length: promptTokens }, (_, index) => ((slot * 31 + index * 7) % (model.vocabularySize - 300) + 256) as Token))
  const work = (slot: number, keep: number, tokens: readonly Token[]): SlotWork => {
    const history = histories[slot] as Token[]
    const isComplete = keep + tokens.length === history.length
    const index = history.length - promptTokens
    return {
      slot: asSlotId(slot),
      sequence: asSequenceId(`bench-${slot}`),
      keep,
      tokens,
      ...(isComplete ? { sample: { sampling, index, history, promptLength: promptTokens } } : {})
    }
  }

  const promptStart = performance.now()
  for (const [slot, history] of histories.entries()) {
    for (let keep = 0; keep < promptTokens; keep += maxStepTokens) {
      const [token] = await step([work(slot, keep, history.slice(keep, Math.min(keep + maxStepTokens, promptTokens)))])
      if (token !== null && token !== undefined) history.push(token)
    }
  }
  const decodeStart = performance.now()
  for (let drawn = 1; drawn <= answerTokens; drawn++) {
    const tokens = await step(histories.map((history, slot) => work(slot, history.length - 1, history.slice(-1))))
    for (const [slot, token] of tokens.entries()) histories[slot]?.push(token)
  }
  const end = performance.now()
  return {
    promptRate: batchSize * promptTokens / (decodeStart - promptStart) * 1000,
    decodeRate: batchSize * answerTokens / (end - decodeStart) * 1000
  }
}
