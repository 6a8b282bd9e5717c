import { describe, expect, it } from 'vitest'
import { TypicalDuration } from '../../../src/domain/typical-duration.ts'

describe('TypicalDuration', () => {
  it('is the average of the first measures', () => {
    const typical = new TypicalDuration()
    expect(typical).toMatchObject({ ms: 0, count: 0 })
    for (const ms of [10, 20, 15]) typical.learn(ms)
    expect(typical.ms).toBeCloseTo(15)
    expect(typical.count).toBe(3)
  })

  it('counts no more than twice the usual time', () => {
    const typical = new TypicalDuration()
    for (let count = 0; count < 10; count++) typical.learn(10)
    typical.learn(10_000)
    expect(typical.ms).toBeCloseTo(11)
  })

  it('follows what lasts', () => {
    const typical = new TypicalDuration()
    for (let count = 0; count < 50; count++) typical.learn(100)
    for (let count = 0; count < 50; count++) typical.learn(10)
    expect(typical.ms).toBeCloseTo(10.5, 0)
  })
})
