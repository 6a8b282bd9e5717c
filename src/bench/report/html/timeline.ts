import type { BenchRun } from '../bench-run.ts'

/** A part of a run, between two times in seconds; rates are per second of it. */
export interface TimelineBin {
  readonly from: number
  readonly to: number
  readonly outputRate: number
  readonly failedRate: number
  readonly completed: number
  readonly failed: number
  readonly running: number
}

/**
 * The run's timeline in bins of so many seconds. A last bin of less than half its size joins the one before, since the
 * rate of a moment says little.
 */
export function timelineBins ({ duration, drawbridge: { timeline } }: BenchRun, binSeconds: number): TimelineBin[] {
  const groups: { from: number, to: number, points: typeof timeline }[] = []
  for (const point of timeline) {
    const from = Math.floor(point.second / binSeconds) * binSeconds
    const to = Math.min(point.second + 1, Math.max(duration, point.second + 0.01))
    const last = groups.at(-1)
    const isTail = point === timeline.at(-1) && to - from < binSeconds / 2
    if (last && (last.from === from || isTail)) groups[groups.length - 1] = { from: last.from, to, points: [...last.points, point] }
    else groups.push({ from, to, points: [point] })
  }
  return groups.map(({ from, to, points }) => {
    const sum = (value: (point: typeof timeline[number]) => number): number => points.reduce((total, point) => total + value(point), 0)
    const seconds = to - from
    const weights = points.map(({ second }) => Math.min(1, Math.max(to - second, 0.01)))
    const weight = weights.reduce((total, value) => total + value, 0)
    return {
      from,
      to,
      outputRate: sum((point) => point.output_tokens) / seconds,
      failedRate: sum((point) => point.failed) / seconds,
      completed: sum((point) => point.completed),
      failed: sum((point) => point.failed),
      running: points.reduce((total, point, index) => total + point.running * (weights[index] ?? 0), 0) / weight
    }
  })
}

/** Such that the longest run has at most `limit` bins. */
export function binSecondsFor (runs: readonly BenchRun[], limit = 200): number {
  return Math.max(1, ...runs.map(({ drawbridge: { timeline } }) => Math.ceil(((timeline.at(-1)?.second ?? 0) + 1) / limit)))
}
