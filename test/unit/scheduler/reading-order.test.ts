import { afterEach, describe, expect, it } from 'vitest'
import { Rig, text, type Step } from './rig.ts'

const story = ({ plan }: Step): string[] => plan.work.map(({ sequence, keep, tokens, park, restore }) =>
  `${sequence} ${keep}+${tokens.length}${park === undefined ? '' : ` (saves ${park})`}${restore === undefined ? '' : ` (restores ${restore})`}`)

describe('batch work beside others', () => {
  let rig: Rig
  const create = (config: ConstructorParameters<typeof Rig>[0] = {}): void => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 1024, stepTokens: 512, ...config })
  }
  const batch = (name: string, seed: number, length: number): void => rig.add(name, text(seed, length), { priority: 'batch', maxTokens: 100 })

  afterEach(() => { expect(rig.engine.violations).toEqual([]) })

  it('has no part in a step that reads somebody else’s prompt', async () => {
    create()
    batch('night-1', 1, 20)
    await rig.step()
    batch('night-2', 2, 300)
    rig.add('chat', text(3, 40), { maxTokens: 3 })
    expect(story(await rig.step())).toEqual(['chat 0+40'])
    expect(story(await rig.step())).toEqual(['night-1 20+1', 'chat 40+1', 'night-2 0+65'])
  })

  it('has one now and then, so that it comes to its end', async () => {
    create({ stepTokens: 16 })
    batch('night', 1, 10)
    await rig.step()
    rig.add('chat', text(2, 900), { maxTokens: 1 })
    const served: boolean[] = []
    for (let step = 0; step < 32; step++) served.push(story(await rig.step()).some((line) => line.startsWith('night')))
    expect(served.filter(Boolean)).toHaveLength(2)
  })

  it('reads what others wait for', async () => {
    create({ stepTokens: 64 })
    batch('night', 1, 200)
    await rig.step()
    rig.add('chat', [...text(1, 200), ...text(2, 10)], { maxTokens: 3 })
    const steps: string[][] = []
    for (let step = 0; step < 4; step++) steps.push(story(await rig.step()))
    expect(steps).toEqual([['night 64+64'], ['night 128+64'], ['night 192+8'], ['chat 200+10']])
  })

  it('is read as fast as it can be while nobody else has come lately, and else in short pieces', async () => {
    create()
    const step = async (): Promise<string[]> => {
      const plan = rig.plan()
      rig.now += 10 + 0.2 * plan.work.reduce((sum, { tokens }) => sum + tokens.length - 1, 0)
      return story(await rig.carryOut(plan))
    }
    batch('night-1', 1, 400)
    expect(await step()).toEqual(['night-1 0+400'])
    rig.add('chat', text(2, 10), { maxTokens: 1 })
    await step()
    await step()
    batch('night-2', 3, 400)
    expect(await step()).toEqual(['night-1 401+1', 'night-2 0+65'])
    rig.now += 10_000
    expect((await step()).at(-1)).toBe('night-2 65+335')
  })

  it('finds its short cache again when it has lost its slot', async () => {
    create({ slotsPerLane: 1, parkBytes: 1_000_000 })
    batch('night', 1, 40)
    await rig.step()
    rig.add('chat', text(2, 20), { maxTokens: 1 })
    expect(story(await rig.step())).toEqual(['chat 0+20 (saves 1)'])
    expect(story(await rig.step())).toEqual(['night 40+1 (restores 1)'])
  })

  it('computes a cache again that is too short to be worth a file', async () => {
    create({ slotsPerLane: 1, parkBytes: 1_000_000 })
    batch('night', 1, 31)
    await rig.step()
    rig.add('chat', text(2, 20), { maxTokens: 1 })
    expect(story(await rig.step())).toEqual(['chat 0+20'])
    expect(story(await rig.step())).toEqual(['night 0+32'])
  })
})
