import { z } from 'zod'
import type { Millis } from '../../domain/ids.ts'
import type { EngineLogger } from './engine-options.ts'
import type { FactMemory } from './fact-memory.ts'
import { chooseSetting, type ComputeSetting, type MeasuredSetting, type Speed, threadCandidates } from './choose-setting.ts'
import { measureSettings } from './measure-settings.ts'

export interface CalibrationOptions {
  /** What is taken when nothing is clearly faster. */
  readonly standard: ComputeSetting
  /** Most threads that may be chosen; null when their number is not to be changed. */
  readonly threadLimit: number | null
  readonly slotsPerLane: number
  /** Everything that the speeds depend on, as plain data. */
  readonly key: object
  readonly memory: FactMemory
  /** See `SpeedGauge.measure`. */
  readonly measure: (setting: ComputeSetting) => Promise<Speed | null>
  readonly logger: EngineLogger
  readonly now: () => Millis
  readonly signal?: AbortSignal | undefined
}

/** What a start may cost once, loading aside; and how much of that the threads may take. */
const budgetMs: Millis = 3000
const threadsBudgetMs: Millis = 1800

const settingSchema = z.object({ threads: z.int().min(1), flashAttention: z.boolean() })

/**
 * Chooses threads and attention for a model by a short measurement, or remembers what an earlier one chose. First the number of
 * threads, then the attention with that number. What cannot be measured, or not in time, is left as it is.
 */
export async function calibrate (options: CalibrationOptions): Promise<ComputeSetting> {
  const { standard, key, memory, logger, now, signal } = options
  const counts = options.threadLimit === null ? [standard.threads] : threadCandidates(standard.threads, options.threadLimit)
  if (counts.length === 1 && !standard.flashAttention) return standard
  const remembered = memory.recall('calibration', key, settingSchema)
  if (remembered !== null) {
    logger.info({ ...remembered }, 'calibrated at an earlier start')
    return remembered
  }
  const start = now()
  const speeds: MeasuredSetting[] = []
  let failure: unknown = null
  const chooseAmong = async (
    settings: readonly [ComputeSetting, ...ComputeSetting[]], withinMs: Millis
  ): Promise<ComputeSetting | null> => {
    if (settings.length === 1) return settings[0]
    const measured = await measureSettings(settings, { ...options, deadline: start + withinMs }).catch((error: unknown) => {
      signal?.throwIfAborted()
      failure = error
      return null
    })
    if (measured === null) return null
    speeds.push(...measured)
    return chooseSetting(measured, options.slotsPerLane)
  }

  const [first = standard.threads, ...others] = counts
  const byThreads = await chooseAmong(
    [{ ...standard, threads: first }, ...others.map((threads) => ({ ...standard, threads }))],
    standard.flashAttention ? threadsBudgetMs : budgetMs)
  const byAttention = byThreads === null || !standard.flashAttention
    ? null
    : await chooseAmong([byThreads, { ...byThreads, flashAttention: false }], budgetMs)
  const chosen = byAttention ?? byThreads ?? standard
  const tookMs = Math.round(now() - start)
  if (failure !== null) {
    logger.warn({ ...chosen, error: failure }, 'not calibrated: a measurement failed')
    return chosen
  }
  if (speeds.length === 0) {
    logger.info({ ...chosen, tookMs }, 'not calibrated: the time at start is too short for this model')
    return chosen
  }
  memory.remember('calibration', key, chosen)
  logger.info({ ...chosen, tookMs, speeds: speeds.map(rates) }, 'calibrated')
  return chosen
}

/** Tokens per second, which people compare. */
function rates ({ setting, speed }: MeasuredSetting): object {
  return {
    ...setting,
    promptTokensPerSecond: Math.round(1000 / speed.promptTokenMs),
    stepsPerSecond: Math.round(10_000 / speed.singleStepMs) / 10,
    fullStepsPerSecond: Math.round(10_000 / speed.fullStepMs) / 10
  }
}
