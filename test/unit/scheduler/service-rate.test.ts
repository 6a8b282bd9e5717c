import { describe, expect, it } from 'vitest'
import { ServiceRate } from '../../../src/scheduler/service-rate.ts'
import { Rig, text } from './rig.ts'

/** So many leave in each second. */
function seen (perSecond: readonly number[]): ServiceRate {
  const rate = new ServiceRate()
  rate.advance(0)
  for (const [second, count] of perSecond.entries()) {
    for (let index = 0; index < count; index++) rate.noteLeft()
    rate.advance((second + 1) * 1000)
  }
  return rate
}

describe('ServiceRate', () => {
  it('says nothing before it has seen anything', () => {
    expect(seen([]).timeFor(1)).toBeNull()
    expect(seen([50]).timeFor(1)).toBeNull()
  })

  it('says when so many will have left', () => {
    expect(seen([4, 4]).timeFor(40)).toBe(10_000)
    expect(seen([1, 1, 0, 4]).timeFor(10)).toBeCloseTo(10_000 / 1.4, -1)
  })

  it('keeps to times that clients obey', () => {
    expect(seen([1000, 1000]).timeFor(1)).toBe(250)
    expect(seen([1, 1]).timeFor(10_000)).toBe(60_000)
    expect(seen([0, 0]).timeFor(1)).toBe(60_000)
  })

  it('forgets what was long ago', () => {
    const rate = seen([...Array<number>(10).fill(100), ...Array<number>(20).fill(2)])
    expect(rate.timeFor(20)).toBeGreaterThan(7000)
  })
})

describe('a full queue', () => {
  it('says when to come back, from how fast answers end', async () => {
    const rig = new Rig({ slotsPerLane: 1, maxQueue: 8 })
    const full = (): unknown => { for (let index = 0; ; index++) rig.add(`full-${rig.now}-${index}`, text(index, 5), { maxTokens: 1 }) }
    expect(full).toThrowError(expect.objectContaining({ code: 'queue_full', retryAfterMs: undefined }))
    // One answer in each step of half a second.
    for (let step = 0; step < 8; step++) {
      rig.now += 500
      await rig.step()
    }
    // One place is missing, and one is for others.
    expect(full).toThrowError(expect.objectContaining({ code: 'queue_full', retryAfterMs: expect.toSatisfy((ms: number) => ms >= 1000 && ms <= 1300) }))
  })
})
