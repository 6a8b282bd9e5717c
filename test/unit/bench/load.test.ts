import { setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Answer } from '../../../src/bench/client/exchange.ts'
import { arrivalTimes, describeLoad, type LoadShape, type OpenLoop, type RunLimit } from '../../../src/bench/load/load-shape.ts'
import { runLoad, type Assignment, type LoadParts, type LoadResult } from '../../../src/bench/load/run-load.ts'
import { createMix, shareOut, weightedMix } from '../../../src/bench/workload/mix.ts'
import { singleTurn, type Turn, type Workload } from '../../../src/bench/workload/workload.ts'
import { Random } from '../../../src/domain/random.ts'

const openLoop = (fields: Partial<OpenLoop> = {}): OpenLoop => ({ type: 'open', rate: 10, burstiness: 1, ramp: null, maxConcurrency: null, ...fields })

function arrivals (shape: OpenLoop, count: number, limit: RunLimit = { type: 'requests', count }): number[] {
  const times: number[] = []
  for (const time of arrivalTimes(shape, limit, new Random(1))) {
    if (times.push(time) === count) break
  }
  return times
}

const gapsOf = (times: readonly number[]): number[] => times.map((time, index) => time - (times[index - 1] ?? 0))
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

function variation (values: readonly number[]): number {
  const middle = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2))) / middle
}

describe('arrivalTimes', () => {
  it.each([[1, 1], [0.25, 2], [4, 0.5]])('has the rate, and with burstiness %d gaps that vary by %d of their mean', (burstiness, expected) => {
    const gaps = gapsOf(arrivals(openLoop({ burstiness }), 20_000))
    expect(mean(gaps)).toBeGreaterThan(95)
    expect(mean(gaps)).toBeLessThan(105)
    expect(variation(gaps)).toBeGreaterThan(expected * 0.93)
    expect(variation(gaps)).toBeLessThan(expected * 1.07)
  })

  it('is regular at infinite burstiness, and at once at an infinite rate', () => {
    expect(arrivals(openLoop({ burstiness: Infinity }), 3)).toEqual([100, 200, 300])
    expect(arrivals(openLoop({ rate: Infinity }), 3)).toEqual([0, 0, 0])
  })

  it('ramps the rate, by number or by time', () => {
    const ramp = { form: 'linear', from: 1 } as const
    const gaps = gapsOf(arrivals(openLoop({ burstiness: Infinity, ramp }), 10))
    expect(gaps[0]).toBe(1000)
    expect(gaps[9]).toBeCloseTo(1000 / 9.1)
    const byTime = gapsOf(arrivals(openLoop({ burstiness: Infinity, ramp: { form: 'exponential', from: 1 } }), 100, { type: 'duration', ms: 10_000 }))
    expect(byTime[0]).toBe(1000)
    expect(byTime[99]).toBeCloseTo(100)
    expect(byTime.every((gap, index) => index === 0 || gap <= byTime[index - 1]! + 1e-9)).toBe(true)
  })

  it('is the same from the same seed', () => {
    expect(arrivals(openLoop(), 50)).toEqual(arrivals(openLoop(), 50))
  })
})

describe('describeLoad', () => {
  it('says what a load is', () => {
    expect(describeLoad({ type: 'closed', concurrency: 4 })).toBe('concurrency 4')
    expect(describeLoad(openLoop({ maxConcurrency: 3 }))).toBe('10/s, Poisson, at most 3 at once')
    expect(describeLoad(openLoop({ rate: Infinity }))).toBe('all at once')
    expect(describeLoad(openLoop({ ramp: { form: 'linear', from: 1 }, burstiness: 0.5 }))).toBe('1 to 10/s (linear), burstiness 0.5')
  })
})

interface Sent extends Assignment { readonly body: Turn['body'], readonly startedAt: number }

interface Scene {
  readonly result: LoadResult
  readonly sent: readonly Sent[]
  readonly maxAtOnce: number
}

async function play (shape: LoadShape, limit: RunLimit, parts: Partial<LoadParts> & { answer?: (sent: Sent, number: number) => Partial<Answer>, answerMs?: number, onSend?: (number: number) => Promise<void> } = {}): Promise<Scene> {
  const { answer = () => ({}), answerMs = 5, onSend = async () => {}, ...rest } = parts
  const sent: Sent[] = []
  const signal = parts.signal ?? new AbortController().signal
  setMaxListeners(0, signal)
  let running = 0
  let maxAtOnce = 0
  const result = await runLoad({
    shape,
    limit,
    workload: numbered,
    models: createMix('round-robin', ['m'], 1),
    tenants: null,
    seed: 1,
    firstConversation: 100,
    clock: () => performance.now(),
    onProgress: () => {},
    signal,
    async send (turn, assignment) {
      const sentAt = performance.now()
      const entry = { ...assignment, body: turn.body, startedAt: sentAt }
      const number = sent.push(entry) - 1
      maxAtOnce = Math.max(maxAtOnce, ++running)
      try {
        await onSend(number)
        await delay(answerMs, undefined, { signal })
      } finally {
        running--
      }
      const endedAt = performance.now()
      return { sentAt, endedAt, outputTimes: [endedAt], text: 'answer', choiceCount: 1, inputTokens: 1, outputTokens: 1, cachedTokens: 0, failure: null, ...answer(entry, number) }
    },
    ...rest
  })
  return { result, sent, maxAtOnce }
}

/** Node 20 has no `Promise.withResolvers`. */
function withResolvers (): { readonly promise: Promise<void>, readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((_resolve) => { resolve = _resolve })
  return { promise, resolve }
}

const numbered: Workload = { description: 'numbered', asksAnew: true, conversation: (number) => singleTurn('chat', { number }) }
const failure = { kind: 'http 500', message: 'no' }

describe('runLoad', () => {
  it('keeps so many users busy, no more, and sends as many requests as wanted', async () => {
    const { result, sent, maxAtOnce } = await play({ type: 'closed', concurrency: 4 }, { type: 'requests', count: 21 })
    expect(result.records).toHaveLength(21)
    expect([maxAtOnce, result.maxRunning]).toEqual([4, 4])
    expect(sent.map(({ body }) => body['number'])).toEqual(Array.from({ length: 21 }, (_, index) => 100 + index))
    expect(result.records.every(({ scheduledAt, sentAt }) => scheduledAt === sentAt)).toBe(true)
  })

  it('sends nothing after the duration, and waits for the last answers', async () => {
    // Time passes with answers alone: 25 ms each.
    let time = 1000
    const { result } = await play({ type: 'closed', concurrency: 1 }, { type: 'duration', ms: 60 }, {
      clock: () => time,
      answer: () => {
        time += 25
        return { sentAt: time - 25, endedAt: time }
      }
    })
    expect(result.records.map(({ sentAt, endedAt }) => [sentAt, endedAt])).toEqual([[0, 25], [25, 50], [50, 75]])
    expect(result.lastSentAt).toBe(50)
  })

  it('sends at the moments of arrival, whatever is under way', async () => {
    // No answer comes before the last request is sent.
    const allSent = withResolvers()
    const { result, maxAtOnce } = await play(openLoop({ rate: 200, burstiness: Infinity }), { type: 'requests', count: 20 }, {
      onSend: async (number) => {
        if (number === 19) allSent.resolve()
        await allSent.promise
      }
    })
    expect(maxAtOnce).toBe(20)
    expect(result.records.map(({ scheduledAt }) => Math.round(scheduledAt))).toEqual(Array.from({ length: 20 }, (_, index) => (index + 1) * 5))
    // Timers may come a millisecond early, never more; how late they come is the machine's affair.
    expect(result.records.every(({ scheduledAt, sentAt }) => sentAt >= scheduledAt - 1.5)).toBe(true)
  })

  it('holds back what is too much at once, and says when it was meant to be sent', async () => {
    const { result, maxAtOnce } = await play(openLoop({ rate: Infinity, maxConcurrency: 3 }), { type: 'requests', count: 12 }, { answerMs: 20 })
    expect(maxAtOnce).toBe(3)
    expect(result.records).toHaveLength(12)
    expect(result.records.at(-1)!.sentAt - result.records.at(-1)!.scheduledAt).toBeGreaterThan(40)
  })

  it('holds conversations with the server\'s own answers, and ends them at a failure', async () => {
    const talk: Workload = {
      description: 'talk',
      asksAnew: false,
      conversation (number) {
        let turn = 0
        return { kind: 'chat', next: (answer) => turn === 3 ? null : { body: { number, turn: turn++, answer }, thinkMs: 0 } }
      }
    }
    const { sent } = await play({ type: 'closed', concurrency: 1 }, { type: 'requests', count: 7 }, {
      workload: talk, answer: (entry) => ({ text: `after ${String(entry.body['turn'])}`, failure: entry.body['number'] === 101 ? failure : null })
    })
    expect(sent.map(({ body: { number, turn, answer } }) => [number, turn, answer])).toEqual([
      [100, 0, null], [100, 1, 'after 0'], [100, 2, 'after 1'], [101, 0, null], [102, 0, null], [102, 1, 'after 0'], [102, 2, 'after 1']
    ])
  })

  const talkOf = (thinkMs: number): Workload => ({
    description: 'talk',
    asksAnew: false,
    conversation (number) {
      let turn = 0
      return { kind: 'chat', next: () => turn === 3 ? null : { body: { number, turn: turn++ }, thinkMs: turn === 1 ? 0 : thinkMs } }
    }
  })

  it('counts the conversations that the limit cuts short', async () => {
    const cutShortBy = async (count: number): Promise<number> =>
      (await play({ type: 'closed', concurrency: 1 }, { type: 'requests', count }, { workload: talkOf(0), answerMs: 1 })).result.cutShortCount
    expect([await cutShortBy(6), await cutShortBy(7), await cutShortBy(8)]).toEqual([0, 1, 1])
  })

  it('lets nobody think beyond the end of a run', async () => {
    let time = 0
    const { result } = await play({ type: 'closed', concurrency: 1 }, { type: 'duration', ms: 60_000 }, {
      workload: talkOf(3_600_000),
      clock: () => time,
      answer: (_, number) => {
        if (number === 3) time = 60_000
        return {}
      }
    })
    expect([result.records.length, result.cutShortCount]).toEqual([4, 4])
  })

  it('counts what it was too late for', async () => {
    let time = 0
    // Ten have a moment within the run; sending the first one takes the rest of it.
    const { result } = await play(openLoop({ rate: 1000, burstiness: Infinity }), { type: 'duration', ms: 10.5 }, { clock: () => time, onSend: async () => { time = 10.5 } })
    expect([result.records.length, result.neverSentCount, result.cutShortCount]).toEqual([1, 9, 0])
  })

  it('counts what was held back until it was too late', async () => {
    let time = 0
    let arrived = 0
    const allHere = withResolvers()
    const tenant = { name: 'a', apiKey: 'ka', weight: 1 }
    const pick = (): typeof tenant => {
      if (++arrived === 10) allHere.resolve()
      return tenant
    }
    const { result } = await play(openLoop({ rate: 1000, burstiness: Infinity, maxConcurrency: 1 }), { type: 'duration', ms: 10.5 }, {
      clock: () => time,
      tenants: { items: [tenant], weights: [1], pick },
      onSend: async () => {
        await allHere.promise
        time = 10.5
      }
    })
    expect([result.records.length, result.neverSentCount, result.cutShortCount]).toEqual([1, 9, 0])
  })

  it.each([200, Infinity])('counts nothing as never sent where a number of requests is sent, at %d/s', async (rate) => {
    const { result } = await play(openLoop({ rate, burstiness: Infinity, maxConcurrency: 2 }), { type: 'requests', count: 7 }, { workload: talkOf(0), answerMs: 1 })
    expect(result.records).toHaveLength(7)
    expect(result.neverSentCount).toBe(0)
    expect(result.cutShortCount).toBeGreaterThan(0)
  })

  it('has other moments from another seed, and the same from the same', async () => {
    const momentsOf = async (seed: number): Promise<number[]> =>
      (await play(openLoop({ rate: 2000 }), { type: 'requests', count: 8 }, { seed, answerMs: 0 })).result.records.map(({ scheduledAt }) => scheduledAt)
    const moments = await momentsOf(1)
    expect(await momentsOf(1)).toEqual(moments)
    expect(await momentsOf(2)).not.toEqual(moments)
  })

  it('gives tenants their share of the users', async () => {
    const tenants = weightedMix([{ name: 'a', apiKey: 'ka', weight: 3 }, { name: 'b', apiKey: 'kb', weight: 1 }], [3, 1], 1)
    const { result } = await play({ type: 'closed', concurrency: 4 }, { type: 'requests', count: 40 }, { tenants, answerMs: 10 })
    const ofA = result.records.filter(({ tenant }) => tenant === 'a').length
    expect(ofA).toBeGreaterThan(24)
    expect(ofA).toBeLessThan(36)
  })

  it('takes a wrong text for a failure', async () => {
    const workload: Workload = { description: 'checked', asksAnew: true, conversation: () => singleTurn('json', {}, (text) => text === 'answer' ? 'not JSON' : null) }
    const { result } = await play({ type: 'closed', concurrency: 1 }, { type: 'requests', count: 1 }, { workload })
    expect(result.records[0]?.failure).toEqual({ kind: 'wrong answer', message: 'not JSON' })
  })

  it.each([{ type: 'closed', concurrency: 3 } as const, openLoop({ rate: Infinity, maxConcurrency: 3 })])('keeps what was answered when it is interrupted', async (shape) => {
    const controller = new AbortController()
    const { result, sent } = await play(shape, { type: 'requests', count: 1000 }, {
      signal: controller.signal,
      answer: (_, number) => {
        if (number === 10) controller.abort(new Error('Enough'))
        return {}
      }
    })
    expect(result.wasInterrupted).toBe(true)
    expect(result.records.length).toBeGreaterThanOrEqual(9)
    expect(result.records.length).toBeLessThan(20)
    expect(sent.length).toBeLessThan(20)
  })

  it('does not hide errors that are not the server\'s', async () => {
    await expect(play({ type: 'closed', concurrency: 2 }, { type: 'requests', count: 4 }, { workload: { description: '', asksAnew: true, conversation: () => { throw new Error('A bug') } } })).rejects.toThrow('A bug')
  })
})

describe('mixes', () => {
  const counts = (mix: { pick: (number: number) => string }, number: number): Record<string, number> => {
    const found: Record<string, number> = {}
    for (let index = 0; index < number; index++) found[mix.pick(index)] = (found[mix.pick(index)] ?? 0) + 1
    return found
  }

  it('go round, or at random, or to the first most', () => {
    expect(counts(createMix('round-robin', ['a', 'b', 'c'], 1), 9)).toEqual({ a: 3, b: 3, c: 3 })
    const random = counts(createMix('random', ['a', 'b'], 1), 4000)
    expect(random['a']).toBeGreaterThan(1880)
    expect(random['a']).toBeLessThan(2120)
    const zipf = createMix('zipf', ['a', 'b', 'c'], 1)
    expect(zipf.weights.map((weight) => weight * 11)).toEqual([6, 3, 2].map((value) => expect.closeTo(value)))
    expect(counts(zipf, 11_000)['a']).toBeGreaterThan(5700)
    expect(counts(zipf, 11_000)['a']).toBeLessThan(6300)
  })

  it('share out workers by weight, one at least to each where there are enough', () => {
    expect(shareOut(8, [3, 1])).toEqual([6, 2])
    expect(shareOut(4, [100, 1, 1])).toEqual([2, 1, 1])
    expect(shareOut(10, [1, 1, 1]).reduce((sum, share) => sum + share, 0)).toBe(10)
    expect(shareOut(1, [1, 5])).toEqual([0, 1])
  })
})
