import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { calibrate, type CalibrationOptions } from '../../../src/engine/llama-cpp/calibrate.ts'
import type { ComputeSetting, Speed } from '../../../src/engine/llama-cpp/choose-setting.ts'
import { silentLogger } from '../../../src/engine/llama-cpp/engine-options.ts'
import { FactMemory } from '../../../src/engine/llama-cpp/fact-memory.ts'
import { measureSettings } from '../../../src/engine/llama-cpp/measure-settings.ts'

/** A machine whose clock moves only by what is measured. */
class Machine {
  now = 0
  readonly measured: ComputeSetting[] = []
  readonly #speedOf: (setting: ComputeSetting, turn: number) => Speed

  constructor (speedOf: (setting: ComputeSetting, turn: number) => Speed) {
    this.#speedOf = speedOf
  }

  readonly measure = async (setting: ComputeSetting): Promise<Speed> => {
    const speed = this.#speedOf(setting, this.measured.length)
    this.measured.push(setting)
    this.now += 100 * speed.promptTokenMs + 8 * speed.singleStepMs + 4 * speed.fullStepMs
    return speed
  }

  /** How many times each thread count was measured. */
  counts (): Record<number, number> {
    const counts: Record<number, number> = {}
    for (const { threads } of this.measured) counts[threads] = (counts[threads] ?? 0) + 1
    return counts
  }
}

const speed = (stepMs: number): Speed => ({ promptTokenMs: stepMs / 20, singleStepMs: stepMs, fullStepMs: 3 * stepMs })
const setting = (threads: number, flashAttention = true): ComputeSetting => ({ threads, flashAttention })

describe('measuring settings', () => {
  const run = async (machine: Machine, settings: readonly [ComputeSetting, ...ComputeSetting[]], deadline = 3000) =>
    await measureSettings(settings, { measure: machine.measure, deadline, now: () => machine.now })

  it('takes turns, and the shortest times without the first round', async () => {
    // In round 0 the machine is faster than it will be, and then somebody disturbs most rounds: neither shows.
    const machine = new Machine((_, turn) => speed(turn < 2 ? 0.1 : turn === 6 || turn === 9 ? 1 : 3))
    const measured = await run(machine, [setting(2), setting(1)])
    expect(measured?.map((item) => item.speed)).toEqual([speed(1), speed(1)])
    expect(machine.measured.slice(0, 4).map(({ threads }) => threads)).toEqual([2, 1, 2, 1])
    expect(machine.counts()).toEqual({ 1: 8, 2: 8 })
  })

  it('drops what is hopeless after the first round, but never the default', async () => {
    const hopeless = new Machine(({ threads }) => speed(threads === 1 ? 3 : 1))
    expect(await run(hopeless, [setting(2), setting(1)])).toMatchObject([{ setting: setting(2) }])
    expect(hopeless.counts()).toEqual({ 1: 1, 2: 8 })
    const standard = new Machine(({ threads }) => speed(threads === 1 ? 3 : 1))
    expect(await run(standard, [setting(1), setting(2)])).toHaveLength(2)
  })

  it('measures fewer rounds where the time is short, and keeps to it', async () => {
    const machine = new Machine(() => speed(10))
    expect(await run(machine, [setting(2), setting(1)], 2500)).toHaveLength(2)
    expect(machine.now).toBeLessThanOrEqual(2500)
    expect(machine.counts()).toEqual({ 1: 5, 2: 5 })
  })

  it('gives up at once when three rounds do not fit', async () => {
    const machine = new Machine(() => speed(20))
    expect(await run(machine, [setting(2), setting(1)], 2500)).toBeNull()
    expect(machine.counts()).toEqual({ 1: 1, 2: 1 })
  })

  it('gives up when a measurement does', async () => {
    expect(await measureSettings([setting(2)], { measure: async () => null, deadline: 3000, now: () => 0 })).toBeNull()
  })

  it('stops when it is told to', async () => {
    const stop = new AbortController()
    const machine = new Machine(() => {
      stop.abort(new Error('enough'))
      return speed(1)
    })
    await expect(measureSettings([setting(2), setting(1)], { measure: machine.measure, deadline: 3000, now: () => machine.now, signal: stop.signal })).rejects.toThrow('enough')
    expect(machine.measured).toHaveLength(1)
  })
})

describe('calibration', () => {
  let folder: string
  let messages: [object, string][]
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-calibration-'))
    messages = []
  })
  afterEach(() => { rmSync(folder, { recursive: true }) })

  const run = async (machine: Machine, changes: Partial<CalibrationOptions> = {}) => await calibrate({
    standard: setting(4),
    threadLimit: 4,
    slotsPerLane: 8,
    key: { model: 'm' },
    memory: new FactMemory(folder),
    measure: machine.measure,
    logger: { ...silentLogger, info: (details, message) => { messages.push([details, message]) } },
    now: () => machine.now,
    ...changes
  })
  /** Two threads are best, and no flash attention. */
  const machineOf = (): Machine => new Machine(({ threads, flashAttention }) => speed((threads === 2 ? 0.5 : 1) * (flashAttention ? 1 : 0.7)))

  it('chooses threads, then attention, and says what it measured', async () => {
    const machine = machineOf()
    expect(await run(machine)).toEqual(setting(2, false))
    expect(machine.measured.filter(({ flashAttention }) => !flashAttention).every(({ threads }) => threads === 2)).toBe(true)
    expect(messages).toEqual([[expect.objectContaining({ threads: 2, flashAttention: false, tookMs: expect.any(Number) }), 'calibrated']])
    expect((messages[0]?.[0] as { speeds: object[] }).speeds).toContainEqual(
      { threads: 2, flashAttention: false, promptTokensPerSecond: 57_143, stepsPerSecond: 2857.1, fullStepsPerSecond: 952.4 })
  })

  it('remembers what it chose, for the same key', async () => {
    await run(machineOf())
    const later = machineOf()
    expect(await run(later)).toEqual(setting(2, false))
    expect(later.measured).toEqual([])
    expect(messages[1]).toEqual([setting(2, false), 'calibrated at an earlier start'])
    const other = machineOf()
    await run(other, { key: { model: 'another' } })
    expect(other.measured).not.toEqual([])
  })

  it('leaves threads alone that are not its to choose', async () => {
    const machine = machineOf()
    expect(await run(machine, { threadLimit: null })).toEqual(setting(4, false))
    expect(Object.keys(machine.counts())).toEqual(['4'])
  })

  it('may choose more threads than the default', async () => {
    expect(await run(machineOf(), { standard: setting(1), threadLimit: 2 })).toMatchObject({ threads: 2 })
  })

  it('does nothing where there is nothing to choose', async () => {
    const machine = machineOf()
    expect(await run(machine, { standard: setting(1, false), threadLimit: 1 })).toEqual(setting(1, false))
    expect(machine.measured).toEqual([])
    expect(messages).toEqual([])
  })

  it('keeps and remembers the threads when there is no time left for the attention', async () => {
    // A measurement takes 25 steps: 700 ms for the first round, 300 for each after it, and 1500 without flash attention.
    const busy = (): Machine => new Machine(({ threads, flashAttention }) => speed(flashAttention ? { 1: 16, 2: 4, 4: 8 }[threads] ?? 0 : 60))
    expect(await run(busy())).toEqual(setting(2))
    const later = busy()
    expect(await run(later)).toEqual(setting(2))
    expect(later.measured).toEqual([])
  })

  it('leaves all as it is when the model is too slow, says so, and tries again next time', async () => {
    const slow = new Machine(() => speed(40))
    expect(await run(slow)).toEqual(setting(4))
    expect(messages).toMatchObject([[setting(4), 'not calibrated: the time at start is too short for this model']])
    expect(await run(machineOf())).toEqual(setting(2, false))
  })

  it('keeps no model from loading when a measurement fails, and remembers nothing then', async () => {
    const warnings: [object, string][] = []
    const logger = { ...silentLogger, warn: (details: object, message: string) => { warnings.push([details, message]) } }
    const error = new Error('not enough memory')
    // Of the second context, without flash attention.
    const short = new Machine(({ threads, flashAttention }) => {
      if (!flashAttention) throw error
      return speed(threads === 2 ? 0.5 : 1)
    })
    expect(await run(short, { logger })).toEqual(setting(2))
    expect(warnings).toEqual([[{ ...setting(2), error }, 'not calibrated: a measurement failed']])
    expect(await run(machineOf())).toEqual(setting(2, false))
    const stopped = { logger, key: {}, signal: AbortSignal.abort(new Error('enough')) }
    await expect(run(short, stopped)).rejects.toThrow('enough')
  })
})
