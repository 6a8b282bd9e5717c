import { describe, expect, it } from 'vitest'
import { Rig, summary, text } from './rig.ts'

describe('a copy whose source is given away before the plan that copies', () => {
  it('computes the whole prompt, once, in its place among the prompts', async () => {
    const rig = new Rig({ slotsPerLane: 3, stepTokens: 64 })
    await leaveCaches(rig)
    // `again` would copy all but the last token of its prompt from the slot of `long` to the one beside `running`; then
    // `other` gets the slot of `long`, which is the only one that is left.
    rig.add('again', text(1, 50))
    rig.add('other', text(3, 9))
    const { plan, events } = await rig.step()
    expect(summary(plan)).toEqual(['again 0+50*', 'other 0+9*'])
    expect(events).toContainEqual(expect.objectContaining({ type: 'sequence-started', id: 'again', cachedTokens: 0 }))
    expect(summary((await rig.step()).plan)).toEqual([expect.stringMatching(/^running \d+\+1\*$/), 'again 50+1*', 'other 9+1*'])
  })

  it('copies what is left of it', async () => {
    const rig = new Rig({ slotsPerLane: 3, stepTokens: 64 })
    await leaveCaches(rig)
    rig.add('again', text(1, 50))
    rig.add('other', [...text(1, 45), ...text(3, 4)])
    expect(summary((await rig.step()).plan)).toEqual(['again (copy of 0) 45+5*', 'other 45+4*'])
  })

  it('is avoided when there is another free slot', async () => {
    const rig = new Rig({ slotsPerLane: 4, stepTokens: 64 })
    rig.add('spare', text(6, 10), { maxTokens: 1 })
    await leaveCaches(rig)
    rig.add('again', text(1, 50))
    rig.add('other', text(3, 9))
    expect(summary((await rig.step()).plan)).toEqual(['again (copy of 1) 49+1*', 'other 0+9*'])
  })
})

/** Three neighbouring slots: the cache of `long`, a short one, and `running`. */
async function leaveCaches (rig: Rig): Promise<void> {
  rig.add('long', text(1, 50), { maxTokens: 120 })
  rig.add('brief', text(5, 10), { maxTokens: 1 })
  rig.add('running', text(4, 4), { maxTokens: 200 })
  while (rig.scheduler.snapshot().running !== 1 || rig.scheduler.snapshot().waiting !== 0) await rig.step()
}
