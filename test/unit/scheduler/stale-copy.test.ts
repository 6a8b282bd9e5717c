import { describe, expect, it } from 'vitest'
import { Rig, summary, text } from './rig.ts'

describe('a copy whose source is given away before the plan that copies', () => {
  it('computes the whole prompt, once, in its place among the prompts', async () => {
    const rig = new Rig({ slotsPerLane: 4, stepTokens: 64 })
    rig.add('short', text(2, 10), { maxTokens: 1 })
    rig.add('long', text(1, 50), { maxTokens: 120 })
    rig.add('brief', text(5, 10), { maxTokens: 1 })
    rig.add('running', text(4, 4), { maxTokens: 200 })
    while (rig.scheduler.snapshot().running !== 1 || rig.scheduler.snapshot().waiting !== 0) await rig.step()

    // `again` would copy all but the last token of its prompt from the slot of `long` to the one beside `running`; then
    // `other` gets the slot of `long`, which is the next neighbour.
    rig.add('again', text(1, 50))
    rig.add('other', text(3, 9))
    const { plan, events } = await rig.step()
    expect(summary(plan).slice(1)).toEqual(['again 0+50*', 'other 0+9*'])
    expect(plan.work[0]?.sequence).toBe('running')
    expect(plan.work[0]?.tokens).toHaveLength(1)
    expect(events).toContainEqual(expect.objectContaining({ type: 'sequence-started', id: 'again', cachedTokens: 0 }))
  })
})
