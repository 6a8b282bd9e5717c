import { describe, expect, it } from 'vitest'
import { asTenantId } from '../../../src/domain/ids.ts'
import { id, Rig, text } from './rig.ts'

describe('a prompt that is not read to its end', () => {
  /** Whose second request gets a slot first: Anna has paid for 100 tokens, Ben for what was read of 200 before his client left. */
  const firstServed = async (names: readonly string[], leave: (rig: Rig) => Promise<void>): Promise<string | undefined> => {
    const rig = new Rig()
    const lengths: Readonly<Record<string, number>> = { anna: 100, ben: 200, dora: 10 }
    for (const name of names) rig.add(name, text(name.length, lengths[name]!), { tenant: asTenantId(name), maxTokens: name === 'dora' ? 1 : 8 })
    await leave(rig)
    rig.add('anna again', text(8, 20), { tenant: asTenantId('anna') })
    rig.add('ben again', text(9, 20), { tenant: asTenantId('ben') })
    for (let step = 0; step < 5; step++) {
      const { plan } = await rig.step()
      const again = plan.work.find(({ sequence }) => sequence.endsWith('again'))
      if (again !== undefined) return again.sequence
    }
    return undefined
  }

  it('costs nothing when it was in no plan', async () => {
    expect(await firstServed(['anna', 'ben', 'dora'], async (rig) => {
      const { plan } = await rig.step()
      expect(plan.work.map(({ sequence }) => sequence)).toEqual([id('anna')])
      rig.scheduler.abort(id('ben'))
    })).toBe('ben again')
  })

  it('costs what was read of it', async () => {
    expect(await firstServed(['ben', 'anna', 'dora'], async (rig) => {
      const plan = rig.plan()
      expect(plan.work.map(({ sequence, tokens }) => [sequence, tokens.length])).toEqual([[id('ben'), 64]])
      rig.scheduler.abort(id('ben'))
      await rig.carryOut(plan)
    })).toBe('ben again')
  })

  it('costs all of it when all was read', async () => {
    expect(await firstServed(['ben', 'anna', 'dora'], async (rig) => {
      for (let step = 0; step < 4; step++) await rig.step()
      rig.scheduler.abort(id('ben'))
    })).toBe('anna again')
  })
})
