import { describe, expect, it } from 'vitest'
import type { Ask, Refusal } from '../../../../src/access/limits/admission.ts'
import { Limiter } from '../../../../src/access/limits/limiter.ts'
import type { Settlement } from '../../../../src/access/limits/settlement.ts'
import { ServerError } from '../../../../src/domain/errors.ts'
import { waitUntil } from '../../../support/server-process.ts'

const subjects = [{ subject: 'key:a', limits: { requestsPerMinute: 5 } }]
const ask = (id: string, wish: Partial<Ask> = {}): Ask => ({ id, subjects, tokens: 1, cost: 0, isBatch: false, ...wish })
const rates = { requests: null, tokens: null }

function setUp () {
  const state = { now: 1000, isDown: false, refusal: null as Refusal | null, batches: [] as string[][], settled: [] as string[], open: (): void => {} }
  const limiter = new Limiter({
    store: {
      async reserve (asks) {
        state.batches.push(asks.map(({ id }) => id))
        await new Promise<void>((resolve) => { state.open = resolve })
        if (state.isDown) throw new ServerError('storage_unavailable', 'down')
        return asks.map(() => ({ refusal: state.refusal, rates }))
      },
      async settle (settlements) {
        if (state.isDown) throw new ServerError('storage_unavailable', 'down')
        state.settled.push(...settlements.map(({ id }) => id))
      },
      read: async () => ({ now: 0, states: new Map() }),
      keepAlive: async () => {},
      sweep: async () => { throw new Error('no') }
    },
    logger: { warn: () => {} },
    now: () => state.now
  })
  return { limiter, state }
}

const settlement = (id: string, given: Partial<Settlement> = {}): Settlement => ({ id, subjects: ['key:a'], taken: [], spending: null, hasReservation: true, ...given })

describe('the limiter', () => {
  it('decides together on what came while others were decided on', async () => {
    const { limiter, state } = setUp()
    const first = limiter.reserve(ask('a'))
    const others = ['b', 'c', 'd'].map(async (id) => await limiter.reserve(ask(id)))
    state.open()
    expect(await first).toEqual({ refusal: null, rates })
    await waitUntil(() => state.batches.length === 2)
    state.open()
    await Promise.all(others)
    expect(state.batches).toEqual([['a'], ['b', 'c', 'd']])
    await limiter.close()
  })

  it('tells those of one decision that it failed, and goes on', async () => {
    const { limiter, state } = setUp()
    const first = limiter.reserve(ask('a'))
    state.isDown = true
    state.open()
    await expect(first).rejects.toMatchObject({ code: 'storage_unavailable' })
    state.isDown = false
    const second = limiter.reserve(ask('b'))
    state.open()
    expect((await second).refusal).toBeNull()
    await limiter.close()
  })

  it('remembers an empty bucket of requests until its next request is due, and no longer, nor for another limit', async () => {
    const { limiter, state } = setUp()
    state.refusal = { limit: 'requestsPerMinute', subject: 'key:a', most: 5, used: 5, asked: 1, retryAfterMs: 12_000, resetsAt: null }
    const refused = limiter.reserve(ask('a'))
    state.open()
    await refused
    state.now += 5000
    expect(limiter.findRefusal(subjects)?.refusal?.retryAfterMs).toBe(7000)
    expect(limiter.findRefusal([{ subject: 'key:b', limits: { requestsPerMinute: 5 } }])).toBeNull()
    state.now += 7000
    expect(limiter.findRefusal(subjects)).toBeNull()
    state.now -= 7000
    expect(limiter.findRefusal(subjects)).toBeNull()

    const again = limiter.reserve(ask('b'))
    state.open()
    await again
    expect(limiter.findRefusal([{ subject: 'key:a', limits: { requestsPerMinute: 500 } }])).toBeNull()
    await limiter.close()
  })

  it('remembers nothing of other limits, to which something may come back', async () => {
    const { limiter, state } = setUp()
    state.refusal = { limit: 'tokensPerMinute', subject: 'key:a', most: 5, used: 5, asked: 1, retryAfterMs: 12_000, resetsAt: null }
    const refused = limiter.reserve(ask('a'))
    state.open()
    await refused
    expect(limiter.findRefusal(subjects)).toBeNull()
    await limiter.close()
  })

  it('ends reservations once the database answers again', async () => {
    const { limiter, state } = setUp()
    state.isDown = true
    limiter.release(settlement('a'))
    limiter.release(settlement('none', { hasReservation: false }))
    await limiter.close()
    expect(state.settled).toEqual([])
    state.isDown = false
    limiter.release(settlement('b'))
    await limiter.close()
    expect(state.settled).toEqual(['a', 'b'])
  })

  it('goes on when what is old cannot be removed', async () => {
    const { limiter } = setUp()
    await expect(limiter.sweep()).resolves.toBeUndefined()
    await limiter.close()
  })
})
