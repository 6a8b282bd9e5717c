import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/domain/random.ts'
import { StepFill } from '../../../src/scheduler/policies/step-fill.ts'

/**
 * Steps of `running` sequences, cut where it asks for that.
 * @returns the sizes to which they were cut
 */
function run (fill: StepFill, costMs: (size: number) => number, running: number, steps: number): number[] {
  const cuts: number[] = []
  for (let step = 0; step < steps; step++) {
    const trial = fill.trialSize(running, 0)
    if (trial < running) cuts.push(trial)
    const size = Math.min(trial, running)
    fill.learn(size, costMs(size))
  }
  return cuts
}

/** All of a lane as long as it wants, half of it when that is enough. */
function runAsWanted (fill: StepFill, slots: number, costMs: (size: number) => number, steps: number): void {
  for (let step = 0; step < steps; step++) run(fill, costMs, Math.min(slots, fill.enough), 1)
}

describe('StepFill', () => {
  it('wants all slots before it knows better', () => {
    const fill = new StepFill(8)
    expect(fill.enough).toBe(8)
    // Without a full one there is nothing to compare with.
    for (let step = 0; step < 100; step++) fill.learn(4, 4)
    expect(fill.enough).toBe(8)
  })

  it('is content with half where each sequence takes its own time, after sixteen trials', () => {
    const fill = new StepFill(16)
    // 8 draw 8 / 8.2 = 0.976 tokens in a millisecond, 16 draw 0.988.
    const costMs = (size: number): number => 0.2 + size
    run(fill, costMs, 16, 16 * 8 - 1)
    expect(fill.enough).toBe(16)
    run(fill, costMs, 16, 1)
    expect(fill.enough).toBe(8)
  })

  it.each([8, 9, 10, 18, 24, 40, 64])('wants all of %i slots where half of them draw less in a second', (slots) => {
    for (const costMs of [() => 40, (size: number) => 0.2 * slots + size]) {
      const fill = new StepFill(slots)
      // The second: half of them 0.5 / 0.7 = 0.71 tokens in a millisecond, all 0.83.
      run(fill, costMs, slots, 4000)
      expect(fill.enough).toBe(slots)
    }
  })

  it.each([[7, 4], [8, 4], [9, 5], [24, 12], [64, 32]])('half of %i slots are %i', (slots, half) => {
    const fill = new StepFill(slots)
    run(fill, (size) => size, slots, 400)
    expect(fill.enough).toBe(half)
  })

  it.each([1, 2, 3, 6])('has nothing to choose where half of %i slots are fewer than four', (slots) => {
    const fill = new StepFill(slots)
    expect(run(fill, (size) => size, slots, 400)).toEqual([])
    expect(fill.enough).toBe(slots)
  })

  it('tries half of a full step, more often in the beginning and as long as chance may decide', () => {
    const fill = new StepFill(8)
    // Sixteen times, in every eighth step; and then in every 32nd.
    expect(run(fill, () => 8, 8, 16 * 8)).toEqual(Array(16).fill(4))
    expect(run(fill, () => 8, 8, 4 * 32)).toEqual(Array(4).fill(4))
    expect(run(fill, () => 8, 7, 100)).toEqual([])
    // Half draw 0.93 of what all draw, half a hundredth more or less: what is to be known is within chance.
    const chance = new Random(1)
    expect(run(new StepFill(8), (size) => (0.97 + 0.06 * chance.uniform()) * (0.65 + size), 8, 1600).length).toBeGreaterThan(100)
  })

  it('cuts nothing off that has to be in the step', () => {
    const fill = new StepFill(8)
    expect(Array.from({ length: 100 }, () => fill.trialSize(8, 5))).toEqual(Array(100).fill(Infinity))
    expect(new Set(Array.from({ length: 100 }, () => fill.trialSize(8, 4)))).toEqual(new Set([4, Infinity]))
  })

  it('takes a slower machine for what it is', () => {
    // Slow for a hundred steps, fast for a hundred. Half of them draw 0.83 of what all draw.
    const fill = new StepFill(16)
    let step = 0
    const spells = (size: number): number => (Math.floor(step++ / 100) % 2 === 0 ? 1 : 1.6) * (4 + size)
    for (let spell = 0; spell < 100; spell++) {
      run(fill, spells, 16, 100)
      expect(fill.enough).toBe(16)
    }
  })

  it('knows chance from what a size takes', () => {
    // Half draw 0.88 of what all draw, and a step is as likely as not a fifth shorter or longer.
    const chance = new Random(1)
    const fill = new StepFill(16)
    let wrong = 0
    for (let step = 0; step < 20_000; step++) {
      run(fill, (size) => (0.8 + 0.4 * chance.uniform()) * (2.5 + size), 16, 1)
      if (fill.enough < 16) wrong++
    }
    expect(wrong).toBeLessThan(200)
  })

  it('knows half to be enough on a busy machine too', () => {
    // Half draw 0.95 of what all draw, and a step is up to a third shorter or longer.
    const chance = new Random(1)
    let slow = 0
    for (let machine = 0; machine < 40; machine++) {
      const fill = new StepFill(32)
      run(fill, (size) => (0.67 + 0.66 * chance.uniform()) * (1.68 + size), 32, 2000)
      if (fill.enough === 32) slow++
    }
    expect(slow).toBeLessThan(5)
  })

  it('is not misled by steps that something else delayed', () => {
    const costMs = (size: number): number => 0.1 + size
    const fill = new StepFill(8)
    run(fill, costMs, 8, 400)
    expect(fill.enough).toBe(4)
    // A trial, and the full step before one.
    fill.learn(8, costMs(8))
    fill.learn(4, 50 * costMs(4))
    // No more than one and a half times what is known counts, for a fiftieth.
    expect(fill.enough).toBe(4)
    fill.learn(8, 50 * costMs(8))
    for (let step = 0; step < 10; step++) fill.learn(8, costMs(8))
    fill.learn(4, costMs(4))
    expect(fill.enough).toBe(4)
  })

  it('stays with half as long as it is hardly worse than it was', () => {
    const fill = new StepFill(8)
    const learn = (stepMs: number): void => { for (let step = 0; step < 200; step++) for (const size of [8, 4]) fill.learn(size, stepMs + size) }
    learn(0.2)
    // 4 / 4.2 of a token in a millisecond is 0.976 of 8 / 8.2.
    expect(fill.enough).toBe(4)
    // 0.925
    learn(0.7)
    expect(fill.enough).toBe(4)
    // 0.88
    learn(1.25)
    expect(fill.enough).toBe(8)
    learn(0.7)
    expect(fill.enough).toBe(8)
    learn(0.2)
    expect(fill.enough).toBe(4)
  })

  it('looks again at a full lane when it has not seen one for long', () => {
    const fill = new StepFill(8)
    runAsWanted(fill, 8, (size) => size, 128)
    expect(fill.enough).toBe(4)
    run(fill, (size) => size, 4, 16_382)
    expect(fill.enough).toBe(4)
    run(fill, (size) => size, 4, 1)
    expect(fill.enough).toBe(8)
    // It is still as it was, as four trials say;
    runAsWanted(fill, 8, (size) => size, 32)
    expect(fill.enough).toBe(4)
    // and when it is not any more, all are wanted again.
    runAsWanted(fill, 8, () => 4, 16_384 + 32 * 8)
    expect(fill.enough).toBe(8)
    runAsWanted(fill, 8, () => 4, 40_000)
    expect(fill.enough).toBe(8)
  })

  it('wants all slots or half of them, whatever steps take', () => {
    fc.assert(fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 64 }), fc.double({ min: 0, max: 1e6, noNaN: true })), { maxLength: 60 }),
      (slots, steps) => {
        const fill = new StepFill(slots)
        for (const [decodes, durationMs] of steps) {
          fill.learn(Math.min(decodes, slots), durationMs)
          expect([slots, Math.ceil(slots / 2)]).toContain(fill.enough)
        }
      }
    ))
  })
})
