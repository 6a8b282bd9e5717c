import { describe, expect, it } from 'vitest'
import { ProgressLine } from '../../../src/bench/progress-line.ts'
import { recordOf, runOf } from './records.ts'

function terminal (fields: { isTTY?: boolean, columns?: number | undefined }) {
  const written: string[] = []
  const stream = { ...fields, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
  return { line: new ProgressLine(stream), written }
}

const long = 'x'.repeat(200)

describe('the progress line', () => {
  it.each([[undefined, 79], [0, 79], [1, 1], [10, 9], [120, 119]])('on a terminal of %s columns is cut to %d characters', (columns, length) => {
    const { line, written } = terminal({ isTTY: true, columns })
    line.note(long)
    expect(written).toEqual(['\r\u001b[2K', 'x'.repeat(length)])
  })

  it('is not written elsewhere; the end of a run is', () => {
    const { line, written } = terminal({ isTTY: false, columns: undefined })
    line.onRunStart('a · concurrency 1', { type: 'requests', count: 2 })
    line.onProgress({ sent: 1, running: 1, completed: 0, failed: 0, outputTokens: 0 })
    line.onRunEnd(runOf([recordOf({ tokens: 10, endedAt: 1000 })]))
    expect(written).toEqual(['a · concurrency 1: 1 completed, 0 failed, 10.0 tokens/s\n'])
  })
})
