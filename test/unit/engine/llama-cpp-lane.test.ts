import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { adapterKey, baseAdapterSet, createAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asParkId, asSequenceId, asSlotId, asToken } from '../../../src/domain/ids.ts'
import { defaultSampling, type Sampling } from '../../../src/domain/sampling.ts'
import type { Adapters } from '../../../src/engine/llama-cpp/adapters.ts'
import { CachePark } from '../../../src/engine/llama-cpp/cache-park.ts'
import type { Draft, Drafter, DraftWish } from '../../../src/engine/llama-cpp/drafter.ts'
import type { Bridging } from '../../../src/engine/llama-cpp/bridges.ts'
import { Lane } from '../../../src/engine/llama-cpp/lane.ts'
import type { NativeContext, NativeLora, NativeSamplerConfig } from '../../../src/engine/llama-cpp/native.ts'
import type { SamplingParts } from '../../../src/engine/llama-cpp/slot-sampler.ts'
import type { SlotWork, StepPlan } from '../../../src/scheduler/plan.ts'

/** What a lane asks of llama.cpp, in order, where the real one's answers would not show it. */
describe('llama.cpp lane', () => {
  let calls: unknown[][]
  let failing: Error | null
  let configs: NativeSamplerConfig[]
  let lane: Lane
  let plans: number
  /** What the next draws are; 1 when there is nothing left. */
  let draws: number[]
  let folder: string
  let park: CachePark
  let createLane: (jobsRunInOrder: boolean, bridging?: Bridging) => Lane
  /** What the draft model guesses for a slot, and what it was asked. */
  let drafts: Map<number, Draft>
  let wishes: (readonly [number, number])[]
  const pirate = createAdapterSet([{ name: 'pirate', generation: 1, scale: 0.5 }])

  beforeAll(async () => { folder = await mkdtemp(join(tmpdir(), 'drawbridge-lane-')) })
  afterAll(async () => { await rm(folder, { recursive: true }) })

  beforeEach(() => {
    park = new CachePark(join(folder, 'engine'))
    calls = []
    failing = null
    configs = []
    plans = 0
    draws = []
    drafts = new Map()
    wishes = []
    const context = {
      initBatch: () => {},
      addToBatch: (...parameters: unknown[]) => {
        calls.push(['addToBatch', parameters[0], parameters[1]])
        return parameters[3]
      },
      decodeBatch: async () => {
        await new Promise(setImmediate)
        calls.push(['decoded'])
        if (failing !== null) throw failing
      },
      sampleToken: async (index: number) => {
        calls.push(['sample', index])
        await new Promise(setImmediate)
        await new Promise(setImmediate)
        calls.push(['sampled', index])
        return draws.shift() ?? 1
      },
      removeTokenCellsFromSequence: (...parameters: unknown[]) => {
        calls.push(['remove', ...parameters])
        return true
      },
      copySequenceStateFromOtherSequence: async (...parameters: unknown[]) => {
        calls.push(['copy', ...parameters])
        return 0
      },
      saveSequenceStateToFile: async (path: string, sequence: number, note: Uint32Array) => {
        calls.push(['save', sequence, ...note])
        await writeFile(path, String(note[0]))
        if (failing !== null) throw failing
        return 5
      },
      loadSequenceStateFromFile: async (path: string, ...parameters: unknown[]) => {
        calls.push(['load', ...parameters])
        return Uint32Array.of(Number(await readFile(path, 'utf8')))
      },
      setLoras: (...parameters: unknown[]) => { calls.push(['setLoras', ...parameters]) },
      setThreads: (threads: number) => { calls.push(['setThreads', threads]) },
      dispose: async () => {}
    } as unknown as NativeContext
    class AddonSampler {
      applyConfig (config: NativeSamplerConfig): void { configs.push(config) }
      dispose (): void {}
    }
    const parts = { bindings: { AddonSampler }, endTokens: [asToken(2)], vocabularySize: 10 } as unknown as SamplingParts
    const adapters = { get: ({ name }: { name: string }) => name as unknown as NativeLora } as unknown as Adapters
    const drafter = {
      draft: async (asked: readonly DraftWish[], threads: number) => {
        for (const { slot, most } of asked) wishes.push([slot, most])
        calls.push(['draft', threads])
        return drafts
      }
    } as unknown as Drafter
    createLane = (jobsRunInOrder, bridging = 'never') => new Lane({
      id: asLaneId(0),
      slotsPerLane: 3,
      contextSize: 100,
      maxStepTokens: 50,
      threads: 1,
      bridging,
      jobsRunInOrder,
      drafter,
      grammarDrawLimits: { slowMs: 1, stuckMs: 1 },
      onStuck: () => {}
    }, context, parts, adapters, park)
    lane = createLane(false)
  })

  const step = async (work: readonly SlotWork[], changes: Partial<StepPlan> = {}) => await lane.step({
    id: ++plans, lane: asLaneId(0), threads: 1, adapters: baseAdapterSet, released: [], work, ...changes
  })
  const work = (slot: number, keep: number, tokens: readonly number[], changes: Partial<SlotWork> = {}): SlotWork => ({
    slot: asSlotId(slot), sequence: asSequenceId(`s${slot}`), keep, tokens: tokens.map(asToken), ...changes
  })
  const sample = (sampling: Partial<Sampling>, history: readonly number[], promptLength: number): Pick<SlotWork, 'sample'> => ({
    sample: { sampling: { ...defaultSampling(1), ...sampling }, index: history.length - promptLength, history: history.map(asToken), promptLength }
  })

  it('changes its threads when the plan does, and only then', async () => {
    await step([work(0, 0, [1])])
    await step([work(0, 1, [1])], { threads: 2 })
    await step([work(0, 2, [1])], { threads: 2 })
    expect(calls.filter(([name]) => name === 'setThreads')).toEqual([['setThreads', 2]])
  })

  it('applies adapters with their scales, and lets go of one before it is unloaded', async () => {
    await step([work(0, 0, [1])], { adapters: pirate })
    await step([work(0, 1, [1])], { adapters: pirate })
    await lane.releaseAdapter(adapterKey({ name: 'shout', generation: 1 }))
    expect(calls.filter(([name]) => name === 'setLoras')).toEqual([['setLoras', ['pirate'], [0.5]]])
    await lane.releaseAdapter(adapterKey({ name: 'pirate', generation: 1 }))
    expect(calls.at(-1)).toEqual(['setLoras', [], []])
  })

  it('takes the idle slot between two along, and takes its token out again, also when the step is lost', async () => {
    lane = createLane(false, 'always')
    await step([work(0, 0, [1]), work(1, 0, [1, 2, 3]), work(2, 0, [1])])
    calls.length = 0
    await step([work(0, 1, [1]), work(2, 1, [1])])
    expect(calls).toEqual([['addToBatch', 0, 1], ['addToBatch', 1, 3], ['addToBatch', 2, 1], ['decoded'], ['remove', 1, 3, -1]])
    calls.length = 0
    failing = new Error('no memory')
    await expect(step([work(0, 2, [1]), work(2, 2, [1])])).rejects.toMatchObject({ code: 'engine_error' })
    expect(calls).toContainEqual(['remove', 1, 3, -1])
    failing = null
    await expect(step([work(1, 3, [1])])).resolves.toMatchObject([{ token: null }])
  })

  it('leaves the idle slot alone where that was not measured to pay', async () => {
    await step([work(0, 0, [1]), work(2, 0, [1])])
    expect(calls).toEqual([['addToBatch', 0, 0], ['addToBatch', 2, 0], ['decoded']])
  })

  it('leaves the idle slot alone beside prompts, which have passes of their own', async () => {
    lane = createLane(false, 'always')
    await step([work(0, 0, [1, 2, 3]), work(2, 0, [1, 2])])
    expect(calls).toEqual([['addToBatch', 0, 0], ['addToBatch', 2, 0], ['decoded']])
  })

  it('takes it along where passes over more slots were measured to take hardly longer', async () => {
    lane = createLane(false, 'measured')
    // By this clock each decode takes as long as any other.
    let now = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
      now += 10
      return now
    })
    onTestFinished(() => { clock.mockRestore() })
    await step([work(0, 0, [1]), work(1, 0, [1]), work(2, 0, [1])])
    await step([work(0, 1, [1])])
    await step([work(2, 1, [1])])
    calls.length = 0
    await step([work(0, 2, [1]), work(2, 2, [1])])
    expect(calls).toEqual([['addToBatch', 0, 2], ['addToBatch', 1, 1], ['addToBatch', 2, 2], ['decoded'], ['remove', 1, 1, -1]])
  })

  it('relies on nothing in the slots of a step that was lost', async () => {
    await step([work(0, 0, [1, 2, 3]), work(1, 0, [1, 2, 3])])
    failing = new Error('no memory')
    await expect(step([work(0, 3, [4])])).rejects.toMatchObject({ code: 'engine_error', cause: failing })
    failing = null
    expect(calls).toContainEqual(['remove', 0, 0, -1])
    const outcomes = await step([work(0, 3, [4]), work(1, 3, [4])])
    expect(outcomes).toContainEqual({ slot: 0, error: expect.objectContaining({ message: expect.stringContaining('3 cached tokens to keep, but it holds 0') }) })
    expect(outcomes).toContainEqual({ slot: 1, token: null })
  })

  it('knows how much a copied slot holds: no more than its source', async () => {
    await step([work(0, 0, [1, 2, 3])])
    const outcomes = await step([
      work(1, 3, [4], { copyFrom: asSlotId(0) }), work(2, 4, [5], { copyFrom: asSlotId(0) })
    ])
    expect(calls.filter(([name]) => name === 'copy')).toEqual([['copy', 1, 0], ['copy', 2, 0]])
    expect(outcomes).toContainEqual({ slot: 1, token: null })
    expect(outcomes).toContainEqual({ slot: 2, error: expect.objectContaining({ message: expect.stringContaining('4 cached tokens to keep, but it holds 3') }) })
  })

  it('refuses guesses without a token before them, or under a grammar', async () => {
    const outcomes = await step([
      work(0, 0, [1], { guessCount: 1, ...sample({}, [1], 1) }),
      work(1, 0, [1, 2], { guessCount: 1, ...sample({ grammar: 'root ::= "a"' }, [1], 1) })
    ])
    expect(outcomes).toContainEqual({ slot: 0, error: expect.objectContaining({ message: expect.stringContaining('1 guesses among 1 tokens') }) })
    expect(outcomes).toContainEqual({ slot: 1, error: expect.objectContaining({ message: expect.stringContaining('guesses under a grammar') }) })
  })

  it('draws along guesses that are right, with the history and the number that each draw has by then', async () => {
    draws = [4, 5, 9, 6]
    const outcomes = await step([work(0, 0, [1, 4, 5, 6], { guessCount: 3, ...sample({ frequencyPenalty: 1, temperature: 1 }, [1], 1) })])
    expect(outcomes).toEqual([{ slot: 0, token: 4, further: [{ token: 5 }, { token: 9 }] }])
    expect(calls.filter(([name]) => name === 'sample')).toEqual([['sample', 0], ['sample', 1], ['sample', 2]])
    expect(configs.map(({ tokenBiasKeys }) => [...tokenBiasKeys ?? []])).toEqual([[], [4], [4, 5]])
    expect(new Set(configs.map(({ seed }) => seed)).size).toBe(3)
  })

  describe('where jobs run in the order in which they are asked for', () => {
    const order = (): unknown[] => calls.map(([name]) => name).filter((name) => ['sample', 'decoded', 'sampled'].includes(String(name)))

    beforeEach(() => { lane = createLane(true) })

    it('asks for draws during the decode, and for those after a guess when their turn comes', async () => {
      draws = [4, 5]
      const outcomes = await step([work(0, 0, [1, 4], { guessCount: 1, ...sample({}, [1], 1) })])
      expect(outcomes).toEqual([{ slot: 0, token: 4, further: [{ token: 5 }] }])
      expect(order()).toEqual(['sample', 'decoded', 'sampled', 'sample', 'sampled'])
    })

    it('waits for the draws behind a decode that fails, and takes nothing from them', async () => {
      failing = new Error('no memory')
      await expect(step([work(0, 0, [1, 2], sample({}, [1, 2], 2))])).rejects.toMatchObject({ code: 'engine_error', cause: failing })
      expect(order()).toEqual(['sample', 'decoded', 'sampled'])
      expect(calls.at(-1)).toEqual(['remove', 0, 0, -1])
    })
  })

  it('asks for draws after the decode where jobs may overtake each other', async () => {
    await step([work(0, 0, [1], sample({}, [1], 1))])
    expect(calls.map(([name]) => name)).toEqual(['addToBatch', 'decoded', 'sample', 'sampled'])
  })

  it('draws along what its draft model guesses, behind the work that wants it', async () => {
    await step([work(0, 0, [1, 3]), work(1, 0, [1, 3])])
    calls = []
    draws = [9, 4, 5, 9]
    const outcome = { count: 2, durationMs: 1, readMs: 2 }
    drafts = new Map([[1, { tokens: [asToken(4), asToken(5)], outcome }]])
    const outcomes = await step([work(0, 2, [4], sample({}, [1, 3, 4], 1)), work(1, 2, [6], { draft: 3, ...sample({}, [1, 3, 6], 1) })], { threads: 2 })
    expect(wishes).toEqual([[1, 3]])
    expect(calls.filter(([name]) => name === 'draft')).toEqual([['draft', 2]])
    expect(outcomes).toContainEqual({ slot: 0, token: 9 })
    expect(outcomes).toContainEqual({ slot: 1, token: 4, further: [{ token: 5 }, { token: 9 }], drafted: outcome })
    // Its wrong guesses are in the cache too, until the next plan cuts it.
    calls = []
    await step([work(1, 4, [9])])
    expect(calls).toContainEqual(['remove', 1, 4, -1])
  })

  it('begins the decode before it returns, unless a draft is wanted', async () => {
    const isDecoding = (): boolean => calls.some(([name]) => name === 'addToBatch')
    const plain = step([work(0, 0, [1], sample({}, [1], 1))])
    expect(isDecoding()).toBe(true)
    await plain
    calls = []
    const drafting = step([work(0, 1, [1], { draft: 1, ...sample({}, [1, 1], 1) })])
    expect(isDecoding()).toBe(false)
    await drafting
    expect(isDecoding()).toBe(true)
  })

  it('goes without where its draft model guesses nothing', async () => {
    expect(await step([work(0, 0, [1], { draft: 3, ...sample({}, [1], 1) })])).toEqual([{ slot: 0, token: 1 }])
    const outcome = { count: 0, durationMs: 0, readMs: 2, isBehind: true as const }
    drafts = new Map([[0, { tokens: [], outcome }]])
    expect(await step([work(0, 1, [1], { draft: 3, ...sample({}, [1, 1], 1) })])).toEqual([{ slot: 0, token: 1, drafted: outcome }])
    await step([work(0, 2, [1])])
    expect(wishes).toHaveLength(2)
  })

  it('refuses a draft under a grammar, or beyond the end of the slot', async () => {
    const outcomes = await step([
      work(0, 0, [1], { draft: 1, ...sample({ grammar: 'root ::= "a"' }, [1], 1) }),
      work(1, 0, [1], { draft: 40, ...sample({}, [1], 1) })
    ])
    expect(outcomes).toContainEqual({ slot: 0, error: expect.objectContaining({ message: expect.stringContaining('guesses under a grammar') }) })
    await step([work(1, 1, Array.from({ length: 40 }, () => 1))])
    await step([work(1, 41, Array.from({ length: 40 }, () => 1))])
    expect(await step([work(1, 81, [1], { draft: 19, ...sample({}, [1], 1) })])).toContainEqual({
      slot: 1, error: expect.objectContaining({ message: expect.stringContaining('101 tokens; it has room for 100') })
    })
    expect(outcomes.find(({ slot }) => slot === 1)).toEqual({ slot: 1, token: 1 })
  })

  it('draws nothing after the end', async () => {
    draws = [2, 5]
    const outcomes = await step([work(0, 0, [1, 2, 5], { guessCount: 2, ...sample({}, [1], 1) })])
    expect(outcomes).toEqual([{ slot: 0, token: 2 }])
  })

  it('forgets what it knows of a released sequence', async () => {
    const biasesOf = (): unknown => Object.fromEntries([...configs.at(-1)?.tokenBiasKeys ?? []].map((key, at) => [key, configs.at(-1)?.tokenBiasValues?.[at]]))
    await step([work(0, 0, [1, 5, 6], sample({ presencePenalty: 1 }, [1, 5, 6], 1))])
    expect(biasesOf()).toEqual({ 5: -1, 6: -1 })
    await step([work(0, 0, [1, 7, 8, 9], sample({ presencePenalty: 1 }, [1, 7, 8, 9], 1))], { released: [asSequenceId('s0')] })
    expect(biasesOf()).toEqual({ 7: -1, 8: -1, 9: -1 })
  })

  it('refuses a draw for which every token is banned', async () => {
    const logitBias = Array.from({ length: 10 }, (_, token): [number, number] => [token, -100])
    expect(await step([work(0, 0, [1], sample({ logitBias }, [1], 1))])).toEqual([
      { slot: 0, error: expect.objectContaining({ code: 'invalid_value', param: 'logit_bias' }) }
    ])
    expect(await step([work(0, 0, [1], sample({ logitBias: logitBias.slice(1) }, [1], 1))])).toEqual([{ slot: 0, token: 1 }])
  })

  describe('with saved caches', () => {
    const files = async (): Promise<string[]> => {
      const found: string[] = []
      for (const entry of await readdir(folder)) found.push(...await readdir(join(folder, entry)))
      return found
    }

    it('saves before it cuts, and loads before it computes', async () => {
      await step([work(0, 0, [1, 2, 3])])
      calls = []
      expect(await step([work(0, 0, [4], { park: asParkId(1) })])).toEqual([
        { slot: 0, token: null, parked: { bytes: 5, durationMs: expect.any(Number) } }
      ])
      expect(calls.slice(0, 2)).toEqual([['save', 0, 3], ['remove', 0, 0, -1]])
      calls = []
      expect(await step([work(2, 2, [3], { restore: asParkId(1) })])).toEqual([{ slot: 2, token: null, restoredInMs: expect.any(Number) }])
      expect(calls).toEqual([['load', 2, 1], ['remove', 2, 2, -1], ['addToBatch', 2, 2], ['decoded']])
      await park.dispose()
    })

    it('begins with an empty folder that nobody else can read', async () => {
      await mkdir(join(folder, 'engine'))
      await writeFile(join(folder, 'engine', 'left-over'), 'of an engine that was killed')
      await step([work(0, 0, [1, 2, 3])])
      await step([work(0, 0, [4], { park: asParkId(1) })])
      expect(await files()).toEqual(['1.kv'])
      expect((await stat(join(folder, 'engine'))).mode & 0o777).toBe(0o700)
      await park.dispose()
    })

    it('deletes what is dropped, and all of it in the end', async () => {
      await step([work(0, 0, [1, 2, 3])])
      await step([work(0, 0, [4], { park: asParkId(1) })])
      await step([work(0, 0, [5], { park: asParkId(2) })])
      expect((await files()).toSorted()).toEqual(['1.kv', '2.kv'])
      await step([work(0, 1, [6])], { dropped: [asParkId(1)] })
      expect(await files()).toEqual(['2.kv'])
      await park.dispose()
      expect(await readdir(folder)).toEqual([])
    })

    it('goes on when a file cannot be deleted', async () => {
      await step([work(0, 0, [1, 2, 3])])
      await step([work(0, 0, [4], { park: asParkId(1) })])
      await rm(join(folder, 'engine', '1.kv'))
      await mkdir(join(folder, 'engine', '1.kv'))
      expect(await step([work(0, 1, [5])], { dropped: [asParkId(1)] })).toEqual([{ slot: 0, token: null }])
      await park.dispose()
    })

    it('goes on when a cache cannot be saved, and leaves nothing of it', async () => {
      await step([work(0, 0, [1, 2, 3]), work(1, 0, [1])])
      failing = new Error('no space left on device')
      const decoding = step([work(0, 0, [4], { park: asParkId(1) })])
      // The decode fails too here; what matters is that it was reached.
      await expect(decoding).rejects.toThrow('The decode of 1 tokens')
      expect(await files()).toEqual([])
      await park.dispose()
    })

    it('says that a cache is lost which it does not find, and computes for the others', async () => {
      await step([work(0, 0, [1, 2, 3])])
      await step([work(0, 0, [4], { park: asParkId(1) })])
      await rm(folder, { recursive: true })
      expect(await step([work(1, 2, [3], { restore: asParkId(1) }), work(0, 1, [5])])).toEqual([
        { slot: 1, isCacheLost: true }, { slot: 0, token: null }
      ])
      folder = await mkdtemp(join(tmpdir(), 'drawbridge-lane-'))
      // The slot is empty, and serves.
      expect(await step([work(1, 0, [1])])).toEqual([{ slot: 1, token: null }])
    })
  })
})
