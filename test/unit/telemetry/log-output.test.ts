import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LogOutput } from '../../../src/telemetry/log-output.ts'

type Done = (error: NodeJS.ErrnoException | null, written: number) => void

describe('log output', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  /** A file that takes what the test lets it take. */
  const rig = () => {
    const writes: { text: string, done: Done }[] = []
    const output = new LogOutput(1, (_fd, data, done) => { writes.push({ text: data.toString(), done }) })
    return { output, writes }
  }
  const failure = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code })

  it('writes one thing at a time, in order, and what is left of it', () => {
    const { output, writes } = rig()
    output.write('one\n')
    output.write('two\n')
    output.write('three\n')
    expect(writes.map(({ text }) => text)).toEqual(['one\n'])
    writes[0]?.done(null, 4)
    writes[1]?.done(null, 2)
    writes[2]?.done(null, 8)
    expect(writes.map(({ text }) => text)).toEqual(['one\n', 'two\nthree\n', 'o\nthree\n'])
    output.write('four\n')
    expect(writes.at(-1)?.text).toBe('four\n')
  })

  it('tries again where nobody reads yet, and drops what a full disk does not take', () => {
    const { output, writes } = rig()
    output.write('one\n')
    writes[0]?.done(failure('EAGAIN'), 0)
    output.write('two\n')
    vi.advanceTimersByTime(100)
    writes[1]?.done(null, 4)
    writes[2]?.done(failure('ENOSPC'), 0)
    output.write('three\n')
    expect(writes.map(({ text }) => text)).toEqual(['one\n', 'one\n', 'two\n', 'three\n'])
  })

  it('keeps no more than 4 MiB for a reader that does not read', () => {
    const { output, writes } = rig()
    output.write('first\n')
    for (let index = 0; index < 100; index++) output.write('x'.repeat(65_536))
    writes[0]?.done(null, 6)
    expect(writes[1]?.text).toHaveLength(4 * 1024 ** 2)
  })

  it('settles when all is written, or the time is up', async () => {
    const { output, writes } = rig()
    await output.settle(1000)
    output.write('one\n')
    let isSettled = false
    const settled = output.settle(1000).then(() => { isSettled = true })
    output.write('two\n')
    writes[0]?.done(null, 4)
    await vi.advanceTimersByTimeAsync(10)
    expect(isSettled).toBe(false)
    writes[1]?.done(null, 4)
    await settled
    output.write('never\n')
    const waiting = output.settle(1000)
    await vi.advanceTimersByTimeAsync(1000)
    await waiting
  })
})
