import { describe, expect, it } from 'vitest'
import { DurationByCount } from '../../../src/domain/duration-by-count.ts'

describe('DurationByCount', () => {
  it('knows what was measured, and what lies between', () => {
    const costs = new DurationByCount()
    expect(costs.estimate(1)).toBeNull()
    costs.learn(2, 30)
    costs.learn(6, 50)
    expect(costs.estimate(2)).toBe(30)
    expect(costs.estimate(3)).toBe(35)
    expect(costs.estimate(6)).toBe(50)
    expect(costs.estimate(1)).toBeNull()
    expect(costs.estimate(7)).toBeNull()
    expect(costs.estimate(9)).toBeNull()
  })

  it('follows what steps take, and little of what was delayed', () => {
    const costs = new DurationByCount()
    for (let step = 0; step < 20; step++) costs.learn(3, 10)
    costs.learn(3, 1000)
    expect(costs.estimate(3)).toBeCloseTo(11)
    for (let step = 0; step < 60; step++) costs.learn(3, 20)
    expect(costs.estimate(3)).toBeCloseTo(20, 1)
  })
})
