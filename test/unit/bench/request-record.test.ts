import { describe, expect, it } from 'vitest'
import { GeneratorWatch } from '../../../src/bench/measure/generator-watch.ts'
import { e2elOf, itlsOf, tpotOf, ttftOf } from '../../../src/bench/measure/request-record.ts'
import { recordOf, runOf } from './records.ts'

/** It had its turn 40 ms after its moment. */
const late = recordOf({ scheduledAt: 10, sentAt: 50, ttftMs: 100, gapMs: 20, tokens: 3 })

describe('a request that was sent late', () => {
  it('has latencies from its sending', () => {
    expect([ttftOf(late), e2elOf(late), tpotOf(late)]).toEqual([100, 140, 20])
    expect(runOf([late])).toMatchObject({ ttfts: [0.1], latencies: [0.14], start_times: [0.05] })
  })

  it('tells by how much', () => {
    expect(runOf([late]).queue_times).toEqual([0.04])
    expect(new GeneratorWatch().stop([late], true).lateness_p99_ms).toBe(40)
  })

  it('has no moment to be late for in a closed loop', () => {
    expect(new GeneratorWatch().stop([late], false).lateness_p99_ms).toBeNull()
  })
})

describe('an answer of several choices', () => {
  it('has the times of its first choice, and no time for each of the tokens of all', () => {
    const record = recordOf({ choiceCount: 2 })
    expect([ttftOf(record), itlsOf(record), tpotOf(record)]).toEqual([100, [20, 20], null])
  })
})
