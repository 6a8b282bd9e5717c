import { baseAdapterSet } from '../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, type Millis, type SequenceId, type Token } from '../../src/domain/ids.ts'
import { runsOf } from '../../src/domain/runs-of.ts'
import { greedySampling } from '../../src/domain/sampling.ts'
import type { Engine } from '../../src/engine/engine.ts'
import type { SlotWork, StepPlan } from '../../src/scheduler/plan.ts'
import { spreadOf } from '../../src/bench/measure/spread.ts'

const sampling = { ...greedySampling, ignoreEos: true }

/** What a step did, and how long it took. */
export interface StepSample {
  readonly decodes: number
  readonly promptTokens: number
  readonly durationMs: Millis
}

/** Costs, and how far the steps that they were made from are from what they say. */
export interface CostFit {
  /** What steps take that only decode: so many sequences, so long. By number; the first is of one. */
  readonly decodeSteps: readonly (readonly [decodes: number, durationMs: Millis])[]
  /** A step without decodes, and what a prompt token adds to any step. */
  readonly stepMs: Millis
  readonly prefillTokenMs: Millis
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

/**
 * Steps that only decode are taken as they were measured (their cost does not go with their number: a second sequence may cost as much as
 * the six after it). What a prompt token adds, and a step without decodes, are what makes the relative errors of all other steps
 * smallest (least squares).
 */
export function fitCosts (samples: readonly StepSample[]): CostFit {
  const numbers = [...new Set(samples.filter(({ promptTokens }) => promptTokens === 0).map(({ decodes }) => decodes))].sort((a, b) => a - b)
  const decodeSteps = numbers.map((decodes) => [
    decodes, spreadOf(samples.filter((sample) => sample.decodes === decodes && sample.promptTokens === 0).map(({ durationMs }) => durationMs)).median
  ] as const)
  const mixed = samples.filter(({ promptTokens }) => promptTokens > 0)
  if (decodeSteps.length === 0 || mixed.length === 0) throw new RangeError('The steps are too much alike to tell what costs what')
  const decodeMs = (decodes: number): Millis => decodeDuration(decodeSteps, 0, decodes)
  // durationMs = base + prefillTokenMs * promptTokens, where the base is known but for steps without decodes. Weighted by 1/durationMs.
  let [aa, ab, bb, ar, br] = [0, 0, 0, 0, 0]
  for (const { decodes, promptTokens, durationMs } of mixed) {
    const a = decodes === 0 ? 1 / durationMs : 0
    const b = promptTokens / durationMs
    const rest = 1 - (decodes === 0 ? 0 : decodeMs(decodes) / durationMs)
    aa += a * a
    ab += a * b
    bb += b * b
    ar += a * rest
    br += b * rest
  }
  const determinant = aa * bb - ab * ab
  const stepMs = determinant > 0 ? Math.max(0, (ar * bb - br * ab) / determinant) : 0
  const prefillTokenMs = Math.max(0, (br - ab * stepMs) / bb)
  const errors = samples.map(({ decodes, promptTokens, durationMs }) =>
    Math.abs((decodeDuration(decodeSteps, stepMs, decodes) + prefillTokenMs * promptTokens) / durationMs - 1))
  return {
    decodeSteps, stepMs, prefillTokenMs, meanError: errors.reduce((sum, error) => sum + error, 0) / errors.length, worstError: Math.max(...errors)
  }
}

/** What the decodes of a step take, of numbers between those that were measured by interpolation, beyond them by the last slope. */
export function decodeDuration (decodeSteps: CostFit['decodeSteps'], stepMs: Millis, decodes: number): Millis {
  if (decodes === 0) return stepMs
  const after = decodeSteps.findIndex(([number]) => number >= decodes)
  const upper = after === -1 ? decodeSteps.length - 1 : after
  const [toNumber, toMs] = decodeSteps[upper]!
  const [fromNumber, fromMs] = decodeSteps[upper - 1] ?? [0, 0]
  return toNumber === decodes ? toMs : fromMs + (toMs - fromMs) * (decodes - fromNumber) / (toNumber - fromNumber)
}

/**
 * How many sequences decode in each pass of a step: llama.cpp starts another at every gap between slots. What reads a prompt has its first
 * token in the same pass as its neighbours.
 */
export function decodeRuns ({ work }: Pick<StepPlan, 'work'>): readonly number[] {
  const decoding = work.filter(({ sample }) => sample !== undefined && sample.index > 0)
  return runsOf(work.map(({ slot }) => slot))
    .map(({ first, last }) => decoding.filter(({ slot }) => slot >= first && slot <= last).length)
    .filter((decodes) => decodes > 0)
}

/** In one line. */
export const describeCosts = ({ decodeSteps, stepMs, prefillTokenMs, meanError, worstError }: CostFit): string =>
  `steps that decode ${decodeSteps.map(([decodes, durationMs]) => `${decodes}: ${round(durationMs)}`).join(', ')} ms; ${round(prefillTokenMs)} per prompt token, ` +
  `${round(stepMs)} for a step of prompts alone; steps are off by ${percent(meanError)} on average, ${percent(worstError)} at worst`

const round = (value: number): string => String(Number(value.toPrecision(3)))
const percent = (share: number): string => `${Math.round(share * 100)} %`
