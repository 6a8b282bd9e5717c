import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/access/caller.ts'
import { Limiter } from '../../../src/access/limits/limiter.ts'
import { MemoryLimitStore } from '../../../src/access/limits/memory-limit-store.ts'
import { configSchema } from '../../../src/config/config.ts'
import type { EffectiveLimits } from '../../../src/domain/limits.ts'
import { asTenantId } from '../../../src/domain/ids.ts'
import { RequestContext } from '../../../src/http/request-context.ts'
import { refuseKnown, reserveRun } from '../../../src/http/reserve-run.ts'

const estimate = { leastTokens: 20, promptTokens: 10, answerTokens: 20 }

function setUp (limits: EffectiveLimits) {
  const limiter = new Limiter({ store: new MemoryLimitStore(() => []), logger: { warn: () => {} }, now: () => performance.now() })
  const services = { config: configSchema.parse({}), limiter }
  const caller: Caller = {
    owner: 'a', tenant: asTenantId('a'), keyId: 'key_1', isAnonymous: false, scopes: ['inference'], models: null, adapters: null, weight: 1, priority: 'batch', highestPriority: 'normal', limits: [{ subject: 'key:key_1', limits }, { subject: 'owner:a', limits: {} }]
  }
  let count = 0
  const run = async (isBatch?: boolean): Promise<RequestContext> => {
    const context = new RequestContext('r', '/v1/chat/completions', 0, '127.0.0.1')
    context.caller = { ...caller, ...isBatch === undefined ? {} : { isBatch } }
    refuseKnown(context, services)
    await reserveRun(`run-${++count}`, 'm', estimate, context, services)
    return context
  }
  return { run, limiter }
}

describe('a run of a batch', () => {
  it('passes what limits minutes and what runs at once, whatever its class is, and no budget', async () => {
    const { run, limiter } = setUp({ requestsPerMinute: 1, tokensPerMinute: 25, concurrentRequests: 1, tokensPerDay: 100 })
    await run()
    await expect(run()).rejects.toMatchObject({ code: 'rate_limit_exceeded' })
    const { reservation } = await run(true)
    expect(reservation?.account).toEqual({ subjects: ['key:key_1', 'owner:a'], taken: [], hasReservation: true })
    await run(true)
    await expect(run(true)).rejects.toMatchObject({ code: 'rate_limit_exceeded', retryAfterMs: 1000 })
    await limiter.close()
  })
})

describe('a run', () => {
  it('takes a full bucket at most', async () => {
    const { run, limiter } = setUp({ tokensPerMinute: 25 })
    expect((await run()).reservation?.account).toEqual({ subjects: ['key:key_1', 'owner:a'], taken: [{ subject: 'key:key_1', perMinute: 25, tokens: 25 }], hasReservation: false })
    await limiter.close()
  })

  it('whose client has gone gives back what it took', async () => {
    const { run, limiter } = setUp({ concurrentRequests: 1 })
    const context = new RequestContext('r', '/v1/chat/completions', 0, '127.0.0.1')
    context.caller = (await run()).caller
    limiter.release({ id: 'run-1', subjects: [], taken: [], spending: null, hasReservation: true })
    context.cancellation.abort()
    await expect(reserveRun('gone', 'm', estimate, context, { config: configSchema.parse({}), limiter })).rejects.toMatchObject({ code: 'request_aborted' })
    await limiter.close()
    expect((await limiter.read(['key:key_1'])).states.get('key:key_1')?.running).toBe(0)
  })
})
