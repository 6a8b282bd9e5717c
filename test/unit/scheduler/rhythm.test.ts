import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attentionTile, pieceOf } from '../../../src/scheduler/policies/piece.ts'
import { Rhythm } from '../../../src/scheduler/policies/rhythm.ts'
import { id, Rig, summary, text } from './rig.ts'

/** Of a lane whose steps take `decodeMs`, and `tokenMs` more for each prompt token, after so many of them. */
function learned (target: number | 'auto', decodeMs: number, tokenMs: number, smallTokenMs = tokenMs): Rhythm {
  const rhythm = new Rhythm(target)
  for (let step = 0; step < 40; step++) rhythm.learn({ decodes: 4, promptTokens: 0, durationMs: decodeMs })
  rhythm.learn({ decodes: 0, promptTokens: 20, durationMs: 20 * smallTokenMs })
  rhythm.learn({ decodes: 4, promptTokens: 100, durationMs: decodeMs + 100 * tokenMs })
  return rhythm
}

describe('Rhythm', () => {
  it('begins with one whole piece, before anything was measured', () => {
    expect(new Rhythm('auto').promptBudget()).toBe(65)
    expect(new Rhythm(5).promptBudget()).toBe(65)
  })

  it('cuts pieces so that a step takes as long as it may', () => {
    expect(learned('auto', 10, 0.5).promptBudget()).toBe(180)
    expect(learned(300, 20, 2).promptBudget()).toBe(140)
    expect(learned(50, 20, 1).promptBudget()).toBe(30)
  })

  it('gives prompts eight times the time of slow decodes, unless a target says otherwise', () => {
    expect(learned('auto', 100, 2).promptBudget()).toBe(400)
    expect(learned(200, 100, 1).promptBudget()).toBe(100)
  })

  it('counts the streams that wait, not all that decode', () => {
    const rhythm = learned('auto', 100, 2)
    for (let step = 0; step < 5; step++) rhythm.learn({ decodes: 1, promptTokens: 0, durationMs: 30 })
    for (let step = 0; step < 40; step++) rhythm.learn({ decodes: 4, promptTokens: 0, durationMs: 100 })
    expect(rhythm.promptBudget(4)).toBe(400)
    expect(rhythm.promptBudget(1)).toBe(120)
    expect(rhythm.spareMs(1)).toBe(240)
    // Between what was measured of fewer and of more.
    expect(rhythm.spareMs(2)).toBeCloseTo(8 * (30 + 70 / 3))
    // As many were never measured.
    expect(rhythm.promptBudget(9)).toBe(rhythm.promptBudget())
  })

  it('tells what may still be read before streams that wait have their next token', () => {
    const rhythm = learned('auto', 100, 2)
    expect(rhythm.furtherBudget(4, 0)).toBe(400)
    expect(rhythm.furtherBudget(4, 600)).toBe(100)
    expect(rhythm.furtherBudget(4, 900)).toBe(0)
    expect(new Rhythm('auto').furtherBudget(1, 0)).toBe(0)
    expect(learned('auto', 0, 0).furtherBudget(1, 50)).toBe(Infinity)
    expect(learned('auto', 0, 0).furtherBudget(1, 100)).toBe(0)
  })

  it('lets prompts share a step that takes no longer than the target', () => {
    expect(learned('auto', 100, 2).sharedBudget).toBe(50)
    expect(learned(300, 100, 2).sharedBudget).toBe(150)
    expect(new Rhythm('auto').sharedBudget).toBe(Infinity)
  })

  it('stretches a step for a whole piece, but not for ever', () => {
    expect(learned('auto', 10, 5).promptBudget()).toBe(65)
    expect(learned('auto', 10, 8, 4).promptBudget()).toBe(22)
    // Eight decodes take 480 ms, a whole piece 910.
    expect(learned('auto', 60, 14, 30).promptBudget()).toBe(65)
    expect(learned('auto', 60, 14, 20).promptBudget()).toBe(24)
    expect(learned('auto', 60, 15, 100).promptBudget()).toBe(16)
    // Who gives a target means it.
    expect(learned(200, 20, 5).promptBudget()).toBe(36)
  })

  it('keeps what it has learned when the target changes', () => {
    const rhythm = learned('auto', 10, 0.5)
    rhythm.aimAt(50)
    expect(rhythm.promptBudget()).toBe(80)
  })

  it('lets prompts go on, however short the target', () => {
    expect(learned(10, 50, 2).promptBudget()).toBe(16)
  })

  it('does not hold back prompts that cost nothing', () => {
    expect(learned('auto', 0, 0).promptBudget()).toBe(Infinity)
    // Nor when decodes leave them no time at all.
    expect(learned(10, 10, 0).promptBudget()).toBe(Infinity)
    expect(learned(10, 10, 1, 0).promptBudget()).toBe(64)
  })

  it('learns from prompts alone, and from mixed steps once it knows what decodes take', () => {
    const rhythm = new Rhythm(200)
    rhythm.learn({ decodes: 2, promptTokens: 100, durationMs: 500 })
    expect(rhythm.promptBudget()).toBe(65)
    rhythm.learn({ decodes: 0, promptTokens: 100, durationMs: 200 })
    expect(rhythm.promptBudget()).toBe(100)
    rhythm.learn({ decodes: 2, promptTokens: 0, durationMs: 40 })
    expect(rhythm.promptBudget()).toBe(80)
  })

  it('is not misled by the ends of prompts', () => {
    const rhythm = learned('auto', 10, 1)
    for (let step = 0; step < 100; step++) rhythm.learn({ decodes: 4, promptTokens: 3, durationMs: 60 })
    expect(rhythm.promptBudget()).toBe(90)
  })

  it('follows a machine that becomes slower, and tries again whether it is faster', () => {
    const rhythm = learned(100, 20, 1)
    expect(rhythm.promptBudget()).toBe(80)
    for (let step = 0; step < 20; step++) rhythm.learn({ decodes: 1, promptTokens: 70, durationMs: 20 + 70 * 4 })
    expect(rhythm.promptBudget()).toBeLessThan(65)
    let steps = 0
    for (; rhythm.promptBudget() < 65 && steps < 1000; steps++) rhythm.learn({ decodes: 1, promptTokens: 20, durationMs: 20 + 20 * 4 })
    expect(steps).toBeGreaterThan(50)
    expect(steps).toBeLessThan(300)
  })
})

describe('a piece of a prompt', () => {
  it('leaves whole tiles, and has the rest in it', () => {
    expect(pieceOf(300, 65)).toBe(44)
    expect(pieceOf(256, 65)).toBe(64)
    expect(pieceOf(300, 120)).toBe(108)
    expect(pieceOf(300, 130)).toBe(108)
    expect(pieceOf(300, 64)).toBe(44)
    fc.assert(fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: attentionTile, max: 1000 }), (pending, room) => {
      const piece = pieceOf(pending, room)
      expect(piece).toBeGreaterThan(Math.min(pending - 1, room - attentionTile))
      expect(piece).toBeLessThanOrEqual(Math.min(pending, room))
      if (pending > room) expect((pending - piece) % attentionTile).toBe(0)
    }))
  })

  it('is all there is room for where that is less than a tile', () => {
    expect(pieceOf(300, 63)).toBe(63)
    expect(pieceOf(20, 63)).toBe(20)
    expect(pieceOf(20, 100)).toBe(20)
  })
})

describe('a prompt beside a flowing stream', () => {
  /** A token of a prompt takes 1 ms, a decode 10. */
  async function stepWithTime (rig: Rig): Promise<string[]> {
    const plan = rig.plan()
    for (const { tokens, sample } of plan.work) rig.now += sample !== undefined && sample.index > 0 ? 10 : tokens.length
    await rig.carryOut(plan)
    return summary(plan)
  }

  it('is read in pieces that keep to the target, and whole when nobody waits', async () => {
    const rig = new Rig({ contextSize: 512, stepTokens: 200, targetItlMs: 90 })
    rig.add('stream', text(1, 150), { maxTokens: 60 })
    expect(await stepWithTime(rig)).toEqual(['stream 0+150*'])
    for (let step = 0; step < 3; step++) expect(await stepWithTime(rig)).toHaveLength(1)
    rig.add('prompt', text(2, 272), { maxTokens: 1 })
    expect(await stepWithTime(rig)).toEqual(['prompt 0+80'])
    expect(await stepWithTime(rig)).toEqual(['stream 153+1*'])
    expect(await stepWithTime(rig)).toEqual(['prompt 80+64'])
    rig.scheduler.abort(id('stream'))
    expect(await stepWithTime(rig)).toEqual(['prompt 144+128*'])
    expect(rig.engine.violations).toEqual([])
  })

  it('is not read in longer pieces because a step was lost in no time', async () => {
    const rig = new Rig({ contextSize: 512, stepTokens: 200, targetItlMs: 90, slotsPerLane: 3 }, new Map([[5, 'reject']]))
    rig.add('first', text(1, 150), { maxTokens: 60 })
    for (let step = 0; step < 4; step++) await stepWithTime(rig)
    rig.scheduler.abort(id('first'))
    rig.add('lost', text(3, 150))
    expect((await rig.step()).events).toMatchObject([{ type: 'sequence-failed', id: id('lost') }])
    rig.add('stream', text(4, 20), { maxTokens: 60 })
    for (let step = 0; step < 2; step++) await stepWithTime(rig)
    rig.add('prompt', text(2, 272), { maxTokens: 1 })
    expect(await stepWithTime(rig)).toEqual(['prompt 0+80'])
    expect(await stepWithTime(rig)).toEqual(['stream 21+1*'])
  })
})
