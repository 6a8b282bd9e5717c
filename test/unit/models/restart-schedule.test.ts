import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { RestartSchedule } from '../../../src/models/restart-schedule.ts'

const times = { initialDelayMs: 100, maxDelayMs: 1000, stableAfterMs: 5000 }

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => { vi.useRealTimers() })

it('waits twice as long each time, up to the most, and begins anew after a stable run', () => {
  const schedule = new RestartSchedule(times)
  const crash = (now: number): number => schedule.crashed(now, () => {})
  expect([crash(0), crash(0), crash(0), crash(0), crash(0), crash(0)]).toEqual([100, 200, 400, 800, 1000, 1000])
  schedule.ready(10_000)
  expect(crash(14_999)).toBe(1000)
  schedule.ready(20_000)
  expect(crash(25_000)).toBe(100)
  // It never became ready: that is no stable run.
  expect(crash(99_000)).toBe(200)
})

it('restarts after the delay, unless it is cancelled', () => {
  const schedule = new RestartSchedule(times)
  let restarts = 0
  const restart = (): void => { restarts++ }
  schedule.crashed(0, restart)
  vi.advanceTimersByTime(99)
  expect(restarts).toBe(0)
  vi.advanceTimersByTime(1)
  expect(restarts).toBe(1)
  schedule.crashed(0, restart)
  schedule.cancel()
  vi.advanceTimersByTime(10_000)
  expect(restarts).toBe(1)
})
