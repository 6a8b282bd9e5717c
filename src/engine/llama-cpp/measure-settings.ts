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
 * @returns the shortest times of each that is left, the first one always among them; null when the time was too short to be sure.
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
  const [first, ...others] = runs.map(({ setting, speeds }) => ({ setting, speed: fastest(speeds) }))
  return first === undefined ? null : [first, ...others]
}

/** Other programs make a step longer and never shorter; on a busy machine half the steps are. */
function fastest (speeds: readonly Speed[]): Speed {
  return {
    promptTokenMs: Math.min(...speeds.map(({ promptTokenMs }) => promptTokenMs)),
    singleStepMs: Math.min(...speeds.map(({ singleStepMs }) => singleStepMs)),
    fullStepMs: Math.min(...speeds.map(({ fullStepMs }) => fullStepMs))
  }
}
