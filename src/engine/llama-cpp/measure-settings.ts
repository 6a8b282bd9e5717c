import type { Millis } from '../../domain/ids.ts'
import type { ComputeSetting, MeasuredSetting, Speed } from './choose-setting.ts'

export interface MeasureOptions {
  /** Measures a setting once; null when that would take too long. */
  readonly measure: (setting: ComputeSetting) => Promise<Speed | null>
  /** No round is begun that would end later than this, by `now`. */
  readonly deadline: Millis
  readonly now: () => Millis
  readonly signal?: AbortSignal | undefined
}

/** Fewer do not tell a slow moment of the machine from a slow setting. */
const fewestRounds = 3
const mostRounds = 7
/** A setting this many times slower than the best is not worth more of the time. */
const hopeless = 2

/**
 * Measures settings in turns, so that a busy moment of the machine falls on all of them alike.
 * @returns the median of each that is left, the first one always among them; null when the time was too short to be sure.
 */
export async function measureSettings (
  settings: readonly [ComputeSetting, ...ComputeSetting[]], { measure, deadline, now, signal }: MeasureOptions
): Promise<readonly [MeasuredSetting, ...MeasuredSetting[]] | null> {
  let runs = settings.map((setting) => ({ setting, speeds: [] as Speed[], lastMs: 0, warmUpMs: 0 }))
  // The first round only warms up, and says how long a round takes.
  for (let round = 0; round <= mostRounds; round++) {
    for (const run of runs) {
      signal?.throwIfAborted()
      const start = now()
      if (start > deadline) return null
      const speed = await measure(run.setting)
      if (speed === null) return null
      run.lastMs = now() - start
      if (round > 0) run.speeds.push(speed)
      else run.warmUpMs = speed.promptTokenMs + speed.singleStepMs + speed.fullStepMs
    }
    if (round === 0) {
      const limit = hopeless * Math.min(...runs.map(({ warmUpMs }) => warmUpMs))
      runs = runs.filter(({ warmUpMs }, index) => index === 0 || warmUpMs <= limit)
    }
    const roundMs = runs.reduce((sum, { lastMs }) => sum + lastMs, 0)
    if (now() + roundMs * Math.max(1, fewestRounds - round) <= deadline) continue
    if (round < fewestRounds) return null
    break
  }
  const [first, ...others] = runs.map(({ setting, speeds }) => ({ setting, speed: medianSpeed(speeds) }))
  return first === undefined ? null : [first, ...others]
}

function medianSpeed (speeds: readonly Speed[]): Speed {
  return {
    promptTokenMs: median(speeds.map(({ promptTokenMs }) => promptTokenMs)),
    singleStepMs: median(speeds.map(({ singleStepMs }) => singleStepMs)),
    fullStepMs: median(speeds.map(({ fullStepMs }) => fullStepMs))
  }
}

function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const high = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? high)) / 2
}
