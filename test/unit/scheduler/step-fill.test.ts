import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StepFill } from '../../../src/scheduler/policies/step-fill.ts'

/** Steps of `running` sequences, cut where it asks for that. */
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

describe('StepFill', () => {
  it('wants all slots before it knows better', () => {
    const fill = new StepFill(8)
    expect(fill.enough).toBe(8)
    fill.learn(4, 4)
    expect(fill.enough).toBe(8)
  })

  it('is content with few where each sequence takes its own time', () => {
    const fill = new StepFill(16)
    run(fill, (size) => 0.5 + size, 16, 400)
    // 0.97 * 16 * 0.5 / (0.5 + 0.03 * 16) = 7.9, in tiles of two. 8 of them draw 8 / 8.5 = 0.94 tokens in a millisecond, 16 draw 0.97.
    expect(fill.enough).toBe(8)
  })

  it.each([3, 8, 9, 10, 18, 24, 40, 64])('wants all of %i slots where a step takes the same time however many are in it', (slots) => {
    const fill = new StepFill(slots)
    run(fill, () => 40, slots, 400)
    // 0.97 of them are nearer to all than to one tile less.
    expect(fill.enough).toBe(slots)
  })

  it.each([
    // Tiles of four: 0.97 * 24 * 2 / (2 + 0.03 * 24) = 17.1 and 0.97 * 24 * 4 / (4 + 0.03 * 24) = 19.7.
    [24, 2, 16],
    [24, 4, 20],
    // Of eight: 0.97 * 64 * 2 / (2 + 0.03 * 64) = 31.7 and 0.97 * 64 * 3 / (3 + 0.03 * 64) = 37.9.
    [64, 2, 32],
    [64, 3, 40],
    // Of one: 0.97 * 8 * 1 / (1 + 0.03 * 8) = 6.3.
    [8, 1, 6]
  ])('rounds to what fills tiles: of %i slots, where a step takes %i ms and each sequence one, %i', (slots, stepMs, enough) => {
    const fill = new StepFill(slots)
    run(fill, (size) => stepMs + size, slots, 400)
    expect(fill.enough).toBe(enough)
  })

  it('wants more than that where its own steps turn out to be slower', () => {
    const fill = new StepFill(24)
    run(fill, (size) => 4 + size, 24, 400)
    expect(fill.enough).toBe(20)
    // With gaps between them, each of which is another pass: 20 / 27 = 0.74 tokens in a millisecond, where all slots draw 0.86.
    for (let step = 0; step < 40; step++) fill.learn(20, 27)
    expect(fill.enough).toBe(24)
    // As it should be again: 0.83.
    for (let step = 0; step < 40; step++) fill.learn(20, 24)
    expect(fill.enough).toBe(20)
  })

  it.each<[string, (size: number) => number]>([
    ['takes nothing by itself', (size) => size],
    ['takes longer than in proportion', (size) => size ** 2]
  ])('wants four of the slots and a quarter at least, even where a step %s', (_, costMs) => {
    for (const [slots, enough] of [[2, 2], [5, 4], [8, 4], [16, 4], [24, 8], [64, 16]] as const) {
      const fill = new StepFill(slots)
      run(fill, costMs, slots, 400)
      // In whole tiles: a quarter of 24 is a tile and a half, which makes two.
      expect(fill.enough).toBe(enough)
    }
  })

  it('learns nothing from steps of less than a quarter of the slots', () => {
    const fill = new StepFill(16)
    for (let step = 0; step < 40; step++) fill.learn(16, 17)
    for (let step = 0; step < 40; step++) fill.learn(3, 4)
    expect(fill.enough).toBe(16)
    for (let step = 0; step < 40; step++) fill.learn(4, 5)
    // 0.97 * 16 * 1 / (1 + 0.03 * 16) = 10.5, in tiles of two.
    expect(fill.enough).toBe(10)
  })

  it('has nothing to choose where there is one slot', () => {
    const fill = new StepFill(1)
    expect(run(fill, (size) => size, 1, 400)).toEqual([])
    expect(fill.enough).toBe(1)
  })

  it('tries every size, more often in the beginning', () => {
    const fill = new StepFill(8)
    const sizes = [4, 5, 6, 7]
    // Each three times, in every eighth step; and then in every 32nd.
    expect(run(fill, (size) => size, 8, 3 * 4 * 8)).toEqual([...sizes, ...sizes, ...sizes])
    expect(run(fill, (size) => size, 8, 4 * 32)).toEqual(sizes)
    expect(run(fill, (size) => size, 8, 15)).toEqual([])
  })

  it('tries sizes that fill tiles', () => {
    expect(run(new StepFill(24), (size) => size, 24, 4 * 8)).toEqual([8, 12, 16, 20])
  })

  it('cuts nothing off that has to be in the step', () => {
    const fill = new StepFill(8)
    const sizes = new Set(Array.from({ length: 800 }, () => fill.trialSize(6, 4)))
    expect([...sizes].sort((a, b) => a - b)).toEqual([4, 5, Infinity])
  })

  it('is not misled by a step that something else delayed', () => {
    const costMs = (size: number): number => 2 + size
    const [still, delayed] = [new StepFill(8), new StepFill(8)]
    for (const fill of [still, delayed]) {
      run(fill, costMs, 8, 400)
      // 0.97 * 8 * 2 / (2 + 0.03 * 8) = 6.9
      expect(fill.enough).toBe(7)
    }
    // No more than twice its time counts, and that for a tenth: 10 + 0.1 * 10 ms. Had all of it counted, four were enough.
    still.learn(8, costMs(8) * 2)
    delayed.learn(8, costMs(8) * 50)
    expect(delayed.enough).toBe(still.enough)
    expect(delayed.enough).toBeGreaterThan(4)
    run(delayed, costMs, 8, 100)
    expect(delayed.enough).toBe(7)
  })

  it('looks again at a full lane when it has not seen one for long', () => {
    const fill = new StepFill(8)
    // The last of them is a full one.
    run(fill, (size) => size, 8, 401)
    expect(fill.enough).toBe(4)
    run(fill, (size) => size, 4, 4095)
    expect(fill.enough).toBe(4)
    run(fill, (size) => size, 4, 1)
    expect(fill.enough).toBe(8)
    // It is still as it was,
    run(fill, (size) => size, 8, 1)
    expect(fill.enough).toBe(4)
    // and by and by it pays: each size is measured anew.
    run(fill, () => 4, 8, 32 * 4 * 60)
    expect(fill.enough).toBe(8)
  })

  it('stays with a size as long as the next one is hardly better', () => {
    const fill = new StepFill(8)
    const learn = (stepMs: number): void => { for (let step = 0; step < 100; step++) for (const size of [2, 4, 6, 8]) fill.learn(size, stepMs + size) }
    learn(2)
    // 6.9 as above.
    expect(fill.enough).toBe(7)
    // 0.97 * 8 * 1.2 / (1.2 + 0.03 * 8) = 6.5 and, with 1 ms, 6.3.
    learn(1.2)
    expect(fill.enough).toBe(7)
    learn(1)
    expect(fill.enough).toBe(6)
    learn(1.2)
    expect(fill.enough).toBe(6)
  })

  it('wants a number of sequences that the lane has, whatever steps take', () => {
    fc.assert(fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 64 }), fc.double({ min: 0, max: 1e6, noNaN: true })), { maxLength: 60 }),
      (slots, steps) => {
        const fill = new StepFill(slots)
        for (const [decodes, durationMs] of steps) {
          fill.learn(Math.min(decodes, slots), durationMs)
          expect(fill.enough).toBeGreaterThanOrEqual(1)
          expect(fill.enough).toBeLessThanOrEqual(slots)
        }
      }
    ))
  })
})
