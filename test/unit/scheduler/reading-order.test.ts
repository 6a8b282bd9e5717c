import { afterEach, describe, expect, it } from 'vitest'
import { createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { id, Rig, text, type Step } from './rig.ts'

const story = ({ plan }: Step): string[] => plan.work.map(({ sequence, keep, tokens, park, restore }) =>
  `${sequence} ${keep}+${tokens.length}${park === undefined ? '' : ` (saves ${park})`}${restore === undefined ? '' : ` (restores ${restore})`}`)

describe('batch work beside others', () => {
  let rig: Rig
  const create = (config: ConstructorParameters<typeof Rig>[0] = {}): void => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 1024, stepTokens: 512, ...config })
  }
  const batch = (name: string, seed: number, length: number): void => rig.add(name, text(seed, length), { priority: 'batch', maxTokens: 100 })

  const served = async (): Promise<string[]> => (await rig.step()).plan.work.map(({ sequence, tokens }) => `${sequence} ${tokens.length}`)

  afterEach(() => { expect(rig.engine.violations).toEqual([]) })

  it('has no part in a step that reads somebody else’s prompt', async () => {
    create()
    batch('night-1', 1, 20)
    await rig.step()
    batch('night-2', 2, 321)
    rig.add('chat', text(3, 40), { maxTokens: 3 })
    expect(story(await rig.step())).toEqual(['chat 0+40'])
    expect(story(await rig.step())).toEqual(['night-1 20+1', 'chat 40+1'])
    expect(story(await rig.step())).toEqual(['night-2 0+65'])
    expect(story(await rig.step())).toEqual(['night-1 21+1', 'chat 41+1'])
  })

  it('has a step without others’ prompts when it was left out of fifteen, so that it comes to its end', async () => {
    create({ stepTokens: 16 })
    batch('night', 1, 10)
    await rig.step()
    rig.add('chat', text(2, 900), { maxTokens: 1 })
    const steps: string[][] = []
    for (let step = 0; step < 32; step++) steps.push(await served())
    const sixteen = [...Array.from({ length: 15 }, () => ['chat 16']), ['night 1']]
    expect(steps).toEqual([...sixteen, ...sixteen])
  })

  it('decodes and reads in turn then too', async () => {
    create({ stepTokens: 16 })
    batch('night-1', 1, 10)
    await rig.step()
    batch('night-2', 2, 60)
    rig.add('chat', text(3, 900), { maxTokens: 1 })
    const steps: string[][] = []
    for (let step = 0; step < 33; step++) steps.push(await served())
    const chat = Array.from({ length: 15 }, () => ['chat 16'])
    // The second time it was left out of the other's step already.
    expect(steps).toEqual([...chat, ['night-1 1'], ['night-2 16'], ...chat.slice(1), ['night-1 1'], ['night-2 16']])
  })

  it('asks for no such step while it has one now and then anyway', async () => {
    create({ stepTokens: 16 })
    batch('night', 1, 10)
    await rig.step()
    const steps: string[][] = []
    for (let chat = 0; chat < 8; chat++) {
      // Each prompt takes four steps, and after each there is one that reads nothing of others.
      rig.add(`chat-${chat}`, text(chat + 2, 64), { maxTokens: 1 })
      for (let step = 0; step < 5; step++) steps.push((await served()).map((line) => line.replace(/-\d/, '')))
    }
    const five = [...Array.from({ length: 4 }, () => ['chat 16']), ['night 1']]
    expect(steps).toEqual(Array.from({ length: 8 }, () => five).flat())
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
    batch('night-2', 3, 450)
    // A token was read in (10 + 0.2 * 399) / 400 = 0.2245 ms, and a short step takes one and a half decodes, 15 ms.
    expect(await step()).toEqual(['night-2 0+66'])
    rig.now += 10_000
    expect(await step()).toEqual(['night-1 401+1', 'night-2 66+384'])
  })

  it('reads and decodes in turn while others may come at any moment, and at once when nobody has for long', async () => {
    create({ stepTokens: 64 })
    batch('night-1', 1, 20)
    rig.add('chat', text(2, 10), { maxTokens: 30 })
    await rig.step()
    await rig.step()
    batch('night-2', 3, 700)
    const steps: string[][] = []
    for (let step = 0; step < 6; step++) steps.push(await served())
    // Streams of others decode with it.
    const [reading, decoding] = [['night-2 64'], ['chat 1', 'night-1 1']]
    expect(steps).toEqual([decoding, reading, decoding, reading, decoding, reading])
    rig.scheduler.abort(id('chat'))
    rig.now += 10_000
    expect(await served()).toEqual(['night-1 1', 'night-2 63'])
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

describe('prompts beside streams', () => {
  let rig: Rig
  afterEach(() => { expect(rig.engine.violations).toEqual([]) })
  const served = async (): Promise<string[]> => (await rig.step()).plan.work.map(({ sequence, tokens }) => `${sequence} ${tokens.length}`)

  it('are read in steps of their own, and streams have all of every other one', async () => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 1024, stepTokens: 60 })
    rig.add('stream', text(1, 10), { maxTokens: 50 })
    await rig.step()
    rig.add('long', text(2, 130), { maxTokens: 2 })
    rig.add('short', text(3, 20), { maxTokens: 2 })
    expect(await served()).toEqual(['long 60'])
    expect(await served()).toEqual(['stream 1'])
    expect(await served()).toEqual(['long 60'])
    expect(await served()).toEqual(['stream 1'])
    expect(await served()).toEqual(['long 10', 'short 20'])
    expect(await served()).toEqual(['stream 1', 'long 1', 'short 1'])
  })

  /** A token of a prompt takes 2 ms, a step that decodes 20 and one for each sequence. */
  const timed = async (): Promise<string> => {
    const plan = rig.plan()
    const isReading = plan.work.some(({ tokens }) => tokens.length > 1)
    rig.now += isReading ? 2 * plan.work.reduce((sum, { tokens }) => sum + tokens.length, 0) : 20 + plan.work.length
    await rig.carryOut(plan)
    return plan.work.map(({ sequence, tokens }) => `${sequence} ${tokens.length}`).join(', ')
  }
  const timedSteps = async (count: number): Promise<string[]> => {
    const steps: string[] = []
    for (let step = 0; step < count; step++) steps.push(await timed())
    return steps
  }

  it('are read one after the other while streams wait, as far as they may, so that each is answered as soon as it is read', async () => {
    rig = new Rig({ slotsPerLane: 8, contextSize: 1024, stepTokens: 512 })
    rig.add('stream', text(1, 100), { maxTokens: 60 })
    await timedSteps(5)
    // A step of the stream takes 21 ms: prompts may have eight times as long, which is 84 tokens.
    for (const [index, length] of [60, 20, 30].entries()) rig.add(`chat-${index}`, text(index + 2, length), { maxTokens: 20 })
    expect(await timedSteps(5)).toEqual(['chat-0 60', 'chat-1 20', 'stream 1, chat-0 1, chat-1 1', 'chat-2 30', 'stream 1, chat-0 1, chat-1 1, chat-2 1'])
  })

  it('go along in a step where that takes hardly any time', async () => {
    rig = new Rig({ slotsPerLane: 8, contextSize: 1024, stepTokens: 512 })
    rig.add('stream', text(1, 100), { maxTokens: 60 })
    await timedSteps(5)
    // Two of them take no more than 100 ms.
    for (const [index, length] of [20, 30, 10].entries()) rig.add(`chat-${index}`, text(index + 2, length), { maxTokens: 20 })
    expect(await timedSteps(3)).toEqual(['chat-0 20, chat-1 30', 'chat-2 10', 'stream 1, chat-0 1, chat-1 1, chat-2 1'])
  })

  it('leave streams out of no more than four steps in a row, however short they are', async () => {
    rig = new Rig({ slotsPerLane: 8, contextSize: 1024, stepTokens: 512, targetItlMs: 60 })
    rig.add('stream', text(1, 100), { maxTokens: 60 })
    await timedSteps(5)
    rig.scheduler.limit({ maxQueue: 100, targetItlMs: 5000 })
    const steps: string[] = []
    for (let chat = 0; chat < 10; chat++) {
      rig.add(`chat-${chat}`, text(chat + 2, 20), { maxTokens: 1 })
      steps.push(...await timedSteps(1))
    }
    const four = ['chat 20', 'chat 20', 'chat 20', 'chat 20', 'stream 1']
    // Meanwhile another one came.
    expect(steps.map((step) => step.replace(/-\d+/g, ''))).toEqual([...four, 'chat 20, chat 20', ...four.slice(1)])
  })

  it('share steps with them where other adapters wait for their turn', async () => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 1024, turnSteps: 4 })
    rig.add('stream', text(1, 10), { maxTokens: 50 })
    await rig.step()
    await rig.engine.loadAdapter('pirate#1' as never, { path: import.meta.filename }, new AbortController().signal)
    rig.add('other', text(2, 10), { maxTokens: 50, adapters: createAdapterSet([{ name: 'pirate', generation: 1, scale: 1 }]) })
    rig.add('prompt', text(3, 20), { maxTokens: 2 })
    const steps = [await served(), await served()]
    expect(steps).toContainEqual(['stream 1', 'prompt 20'])
  })

  it('are read in order of admission now and then, though a stream has every other step', async () => {
    rig = new Rig({ slotsPerLane: 3, contextSize: 2048, stepTokens: 16 })
    rig.add('stream', text(1, 10), { maxTokens: 200 })
    await rig.step()
    rig.add('first', text(2, 500), { maxTokens: 1 })
    await rig.step()
    // More urgent ones come one after the other.
    rig.add('urgent', text(3, 1000), { maxTokens: 1, priority: 'interactive' })
    const readers: string[] = []
    for (let step = 0; step < 30; step++) readers.push(...(await served()).filter((line) => !line.startsWith('stream')))
    // The first two steps that read prompts are over.
    const four = ['urgent 16', 'urgent 16', 'first 16', 'urgent 16']
    expect(readers).toEqual([...four, ...four, ...four, ...four].slice(0, 15))
  })

  it('owe streams the next step of theirs, though other adapters have the lane in between', async () => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 1024, stepTokens: 60, turnSteps: 1 })
    await rig.engine.loadAdapter('pirate#1' as never, { path: import.meta.filename }, new AbortController().signal)
    rig.add('stream', text(1, 10), { maxTokens: 50 })
    await rig.step()
    rig.add('long', text(2, 1000), { maxTokens: 1 })
    expect(await served()).toEqual(['long 60'])
    rig.add('other', text(3, 20), { maxTokens: 1, adapters: createAdapterSet([{ name: 'pirate', generation: 1, scale: 1 }]) })
    expect(await served()).toEqual(['other 20'])
    expect(await served()).toEqual(['stream 1'])
    expect(await served()).toEqual(['long 60'])
  })

  it('leave a step to batch work under each of the adapters that take turns', async () => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 4096, stepTokens: 16, turnSteps: 1 })
    await rig.engine.loadAdapter('pirate#1' as never, { path: import.meta.filename }, new AbortController().signal)
    const adapters = createAdapterSet([{ name: 'pirate', generation: 1, scale: 1 }])
    const nights = [['night', {}], ['pirate-night', { adapters }]] as const
    for (const [seed, [name, options]] of nights.entries()) rig.add(name, text(seed, 10), { ...options, priority: 'batch', maxTokens: 200 })
    for (let step = 0; step < 4; step++) await rig.step()
    rig.add('long', text(5, 2000), { maxTokens: 1 })
    rig.add('pirate-long', text(6, 2000), { maxTokens: 1, adapters })
    const steps: string[][] = []
    // Each set has every other step, and batch work every sixteenth of those.
    for (let step = 0; step < 64; step++) steps.push(await served())
    for (const [name] of nights) expect(steps.filter((line) => line.includes(`${name} 1`))).toHaveLength(2)
  })

  it('keep what streams guess for later', async () => {
    rig = new Rig({ slotsPerLane: 4, contextSize: 2048, mostGuesses: 3 })
    rig.add('stream', Array.from({ length: 60 }, (_, at) => text(1, 6)[at % 6]!), { maxTokens: 200 })
    await rig.step()
    rig.add('long', text(2, 600), { maxTokens: 1 })
    for (let step = 0; step < 10; step++) {
      const { plan } = await rig.step()
      expect(plan.work.every(({ guessCount = 0 }) => guessCount === 0)).toBe(true)
    }
  })
})

describe('a prompt of batch work beside a flood of others', () => {
  it.each([0, 1, 2, 3])('comes to its end where steps are mixed, after %i that read nothing', async (quiet) => {
    const rig = new Rig({ slotsPerLane: 5, contextSize: 1024, stepTokens: 16 })
    await rig.engine.loadAdapter('pirate#1' as never, { path: import.meta.filename }, new AbortController().signal)
    const pirate = createAdapterSet([{ name: 'pirate', generation: 1, scale: 1 }])
    rig.add('other-set', text(9, 10), { maxTokens: 600, adapters: pirate })
    rig.add('stream', text(1, 4), { maxTokens: 600 })
    for (let step = 0; step < 2 + quiet; step++) await rig.step()
    rig.add('night', text(2, 60), { priority: 'batch', maxTokens: 1 })
    let [chats, ended, isNightOver] = [0, 0, false]
    for (let step = 0; step < 400 && !isNightOver; step++) {
      for (; chats - ended < 2; chats++) rig.add(`chat-${chats}`, text(chats + 20, 200), { maxTokens: 1 })
      const { events } = await rig.step()
      ended += events.filter(({ type, id: name }) => type === 'sequence-finished' && name.startsWith('chat')).length
      isNightOver = events.some(({ type, id: name }) => type === 'sequence-finished' && name === 'night')
    }
    expect(isNightOver).toBe(true)
    expect(rig.engine.violations).toEqual([])
  })
})

describe('room for batch work', () => {
  let rig: Rig
  afterEach(() => { expect(rig.engine.violations).toEqual([]) })
  const perToken = 1
  /** Each sequence of a step takes its own time, as on a slow machine, or they all take no more than one. */
  const step = async (isFlat = false): Promise<Step> => {
    const plan = rig.plan()
    rig.now += isFlat ? 5 : 0.2 + perToken * plan.work.reduce((sum, { tokens }) => sum + tokens.length, 0)
    return await rig.carryOut(plan)
  }
  const begin = async (isFlat: boolean): Promise<void> => {
    rig = new Rig({ slotsPerLane: 8, contextSize: 4096, stepTokens: 512 })
    for (let index = 0; index < 8; index++) rig.add(`night-${index}`, text(index, 10), { priority: 'batch', maxTokens: 2000 })
    for (let index = 0; index < 400; index++) await step(isFlat)
    expect(rig.scheduler.snapshot().running).toBe(8)
  }

  it('is what fills a step well while others may come, and everything as soon as nobody has for long', async () => {
    await begin(false)
    rig.add('chat', text(20, 10), { maxTokens: 3 })
    const { plan } = await step()
    // Four draw 4 tokens in 4.2 ms, 0.98 of what eight draw in the same time. The chat is one of them.
    expect(plan.preempted).toEqual(['night-0', 'night-1', 'night-2', 'night-3', 'night-4'].map(id))
    expect(rig.scheduler.snapshot()).toMatchObject({ running: 4, waiting: 5 })
    await step()
    await step()
    expect(rig.scheduler.snapshot()).toMatchObject({ running: 3, waiting: 5 })
    await step()
    expect(rig.scheduler.snapshot()).toMatchObject({ running: 4, waiting: 4 })
    rig.now += 10_000
    await step()
    expect(rig.scheduler.snapshot()).toMatchObject({ running: 8, waiting: 0 })
  })

  it('is all slots that others leave where a step takes no longer for more of it', async () => {
    await begin(true)
    rig.add('chat', text(20, 10), { maxTokens: 3 })
    const { plan } = await step(true)
    expect(plan.preempted).toEqual([id('night-0')])
    expect(rig.scheduler.snapshot().running).toBe(8)
  })

  it('does not keep others from any slot', async () => {
    await begin(false)
    for (let index = 0; index < 8; index++) rig.add(`chat-${index}`, text(20 + index, 10), { maxTokens: 30 })
    const { plan } = await step()
    expect(plan.work.map(({ sequence }) => sequence).sort()).toEqual(Array.from({ length: 8 }, (_, index) => id(`chat-${index}`)))
  })

  it('is one slot at least for what has waited long, however many others there are', async () => {
    await begin(false)
    let [chats, ended, nightTokens] = [0, 0, 0]
    for (let index = 0; index < 400; index++) {
      // There are always five others, more than are enough.
      for (; chats - ended < 5; chats++) rig.add(`chat-${chats}`, text(chats + 20, 10), { maxTokens: 40 })
      const { events } = await step()
      rig.now += 50
      ended += events.filter(({ type, id: name }) => type === 'sequence-finished' && name.startsWith('chat')).length
      nightTokens += events.filter(({ type, id: name }) => type === 'token-drawn' && name.startsWith('night')).length
    }
    expect(nightTokens).toBeGreaterThan(100)
  })
})
