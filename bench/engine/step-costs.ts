import { baseAdapterSet } from '../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, type Millis, type SequenceId, type Token } from '../../src/domain/ids.ts'
import { greedySampling } from '../../src/domain/sampling.ts'
import type { Engine } from '../../src/engine/engine.ts'
import type { StepCosts } from '../../src/engine/fake/step-latency.ts'
import type { SlotWork } from '../../src/scheduler/plan.ts'
import { spreadOf } from '../../src/bench/measure/spread.ts'

const sampling = { ...greedySampling, ignoreEos: true }

/** What a step did, and how long it took. */
export interface StepSample {
  readonly decodes: number
  readonly promptTokens: number
  readonly durationMs: Millis
}

/** Costs, and how far the steps that they were made from are from what they say. */
export interface CostFit extends StepCosts {
  /** Mean and largest error of a step, as a share of its duration. */
  readonly meanError: number
  readonly worstError: number
}

export interface StepCostOptions {
  /** Slots of lane 0 that decode in the fullest step; there is one more. */
  readonly batchSize: number
  /** Tokens in the caches of those that decode. */
  readonly contextTokens: number
  readonly threads: number
  readonly repetitions: number
}

/** Steps of each kind are measured this often in a row, and the first of them does not count. */
const runLength = 4

/**
 * Measures steps as a scheduler makes them: some sequences decode while a piece of a prompt is read into another slot. Kinds of steps
 * take turns; of each kind and turn the median counts.
 */
export async function measureSteps (engine: Engine, options: StepCostOptions, planIds: Iterator<number>, signal: AbortSignal): Promise<readonly StepSample[]> {
  const { batchSize, contextTokens, threads, repetitions } = options
  const { contextSize, maxStepTokens, model } = engine.info
  const token = (seed: number): Token => (seed % (model.vocabularySize - 300) + 256) as Token
  let steps = 0
  let released: readonly SequenceId[] = []
  const step = async (work: readonly SlotWork[]): Promise<Millis> => {
    const plan = { id: planIds.next().value as number, lane: asLaneId(0), threads, adapters: baseAdapterSet, work, released }
    released = work.map(({ sequence }) => sequence)
    steps++
    const startedAt = performance.now()
    const outcomes = await engine.step(plan)
    const durationMs = performance.now() - startedAt
    for (const outcome of outcomes) if ('error' in outcome) throw outcome.error
    return durationMs
  }
  const workOf = (slot: number, keep: number, tokens: readonly Token[], history: readonly Token[] | null): SlotWork => ({
    slot: asSlotId(slot),
    // Another one in each step, on what the last one has left in the slot.
    sequence: asSequenceId(`costs-${slot}-${steps}`),
    keep,
    tokens,
    ...(history === null ? {} : { sample: { sampling, index: 0, history, promptLength: history.length } })
  })

  const histories = Array.from({ length: batchSize }, (_, slot) => Array.from({ length: contextTokens }, (_, index) => token(slot * 31 + index * 7)))
  for (const [slot, history] of histories.entries()) {
    for (let keep = 0; keep < contextTokens; keep += maxStepTokens) await step([workOf(slot, keep, history.slice(keep, keep + maxStepTokens), null)])
  }
  // The last token is computed again and again: what a decode does, but the context does not grow.
  const decodes = (count: number): SlotWork[] => histories.slice(0, count).map((history, slot) =>
    workOf(slot, contextTokens - 1, history.slice(-1), history))
  const prompt = Array.from({ length: Math.min(maxStepTokens - batchSize, contextSize - 1) }, (_, index) => token(index * 13))

  const samples: StepSample[] = []
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    for (const decodeCount of counts(batchSize)) {
      for (const promptTokens of [0, 16, 32, 65, 129, 257, 513].filter((count) => count <= prompt.length)) {
        if (decodeCount + promptTokens === 0) continue
        signal.throwIfAborted()
        const durations: Millis[] = []
        for (let run = 0; run < runLength; run++) {
          const read = promptTokens === 0 ? [] : [workOf(batchSize, 0, prompt.slice(0, promptTokens), null)]
          durations.push(await step([...decodes(decodeCount), ...read]))
        }
        if (repetition > 0) samples.push({ decodes: decodeCount, promptTokens, durationMs: spreadOf(durations.slice(1)).median })
      }
    }
  }
  return samples
}

/** 0, 1, 2, 4, … and the number itself. */
function counts (most: number): readonly number[] {
  const found = [0]
  for (let count = 1; count < most; count *= 2) found.push(count)
  return [...found, most]
}

/** The costs, none below 0, that make the relative errors of the steps' durations smallest (in the least squares sense). */
export function fitCosts (samples: readonly StepSample[]): CostFit {
  const names = ['stepMs', 'decodeTokenMs', 'prefillTokenMs'] as const
  const rows = samples.map(({ decodes, promptTokens, durationMs }) => [1, decodes, promptTokens].map((value) => value / durationMs))
  // What comes out negative is left out, and the others are fitted without it.
  let kept = [0, 1, 2]
  let solution = solve(rows, kept)
  while (solution.some((value) => value < 0)) {
    kept = kept.filter((_, index) => solution[index]! >= 0)
    solution = solve(rows, kept)
  }
  const costs = Object.fromEntries(names.map((name, index) => [name, solution[kept.indexOf(index)] ?? 0])) as unknown as StepCosts
  const errors = rows.map((row) => Math.abs(kept.reduce((sum, column, index) => sum + row[column]! * solution[index]!, 0) - 1))
  return { ...costs, meanError: errors.reduce((sum, error) => sum + error, 0) / errors.length, worstError: Math.max(...errors) }
}

/** Least squares for a right side of ones: the normal equations, by Gauss's elimination. */
function solve (rows: readonly (readonly number[])[], columns: readonly number[]): readonly number[] {
  const matrix = columns.map((a) => [
    ...columns.map((b) => rows.reduce((sum, row) => sum + row[a]! * row[b]!, 0)),
    rows.reduce((sum, row) => sum + row[a]!, 0)
  ])
  const size = columns.length
  for (let pivot = 0; pivot < size; pivot++) {
    const best = matrix.slice(pivot).reduce((most, row, index) => Math.abs(row[pivot]!) > Math.abs(matrix[most]![pivot]!) ? pivot + index : most, pivot)
    ;[matrix[pivot], matrix[best]] = [matrix[best]!, matrix[pivot]!]
    if (matrix[pivot]![pivot] === 0) throw new RangeError('The steps are too much alike to tell what costs what')
    for (let row = 0; row < size; row++) {
      if (row === pivot) continue
      const factor = matrix[row]![pivot]! / matrix[pivot]![pivot]!
      for (let column = pivot; column <= size; column++) matrix[row]![column]! -= factor * matrix[pivot]![column]!
    }
  }
  return matrix.map((row, index) => row[size]! / row[index]!)
}

/** In one line. */
export const describeCosts = ({ stepMs, decodeTokenMs, prefillTokenMs, meanError, worstError }: CostFit): string =>
  `${round(stepMs)} ms per step, ${round(decodeTokenMs)} per decode, ${round(prefillTokenMs)} per prompt token; ` +
  `steps are off by ${percent(meanError)} on average, ${percent(worstError)} at worst`

const round = (value: number): string => String(Number(value.toPrecision(3)))
const percent = (share: number): string => `${Math.round(share * 100)} %`
