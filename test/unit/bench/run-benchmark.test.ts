import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runBenchmark } from '../../../bench/support/run-benchmark.ts'

const printed: unknown[] = []
beforeEach(() => {
  vi.useFakeTimers()
  printed.length = 0
  vi.spyOn(console, 'error').mockImplementation((line) => { printed.push(line) })
})
afterEach(() => {
  process.exitCode = undefined
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Rejects with the reason of the signal. */
async function untilAborted (signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  signal.throwIfAborted()
}

describe('runBenchmark', () => {
  it('ends a run after half an hour, not before', async () => {
    const running = runBenchmark(untilAborted)
    await vi.advanceTimersByTimeAsync(30 * 60_000 - 1)
    expect(printed).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    await running
    expect(printed).toEqual(['Stopped after 30 minutes'])
    expect(process.exitCode).toBe(1)
  })

  it('ends a run at a signal to the process', async () => {
    const listeners = process.listenerCount('SIGHUP')
    const running = runBenchmark(untilAborted)
    process.emit('SIGHUP', 'SIGHUP')
    await running
    expect(printed).toEqual(['Stopped by SIGHUP'])
    expect(process.listenerCount('SIGHUP')).toBe(listeners)
  })

  it('leaves nothing behind', async () => {
    const listeners = process.listenerCount('SIGINT')
    await runBenchmark(async () => {})
    expect([vi.getTimerCount(), process.listenerCount('SIGINT'), process.exitCode]).toEqual([0, listeners, undefined])
  })

  it('tells an error in one line', async () => {
    await runBenchmark(async () => { throw new Error('No port') })
    expect(printed).toEqual(['No port'])
    expect(process.exitCode).toBe(1)
  })
})
