import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/access/caller.ts'
import type { TenantConfig } from '../../../src/config/config.ts'
import { asTenantId } from '../../../src/domain/ids.ts'
import type { Priority } from '../../../src/domain/priority.ts'
import { serviceClassOf } from '../../../src/http/schemas/service-class.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'
import { readSse } from '../../support/sse.ts'

const caller = (priority: Priority, highestPriority: Priority): Caller => ({
  owner: 'a', tenant: asTenantId('a'), keyId: null, isAnonymous: false, scopes: ['inference'], models: null, adapters: null, weight: 1, priority, highestPriority, limits: []
})

describe('the class of a request', () => {
  it.each([
    [{}, 'normal', 'normal', 'normal', 'default'],
    [{}, 'batch', 'normal', 'batch', 'flex'],
    [{ service_tier: 'auto' }, 'interactive', 'interactive', 'interactive', 'priority'],
    [{ service_tier: 'default' }, 'normal', 'normal', 'normal', 'default'],
    [{ service_tier: 'scale' }, 'normal', 'interactive', 'normal', 'default'],
    [{ service_tier: 'flex' }, 'interactive', 'interactive', 'batch', 'flex'],
    [{ service_tier: 'priority' }, 'normal', 'interactive', 'interactive', 'priority'],
    [{ service_tier: 'priority' }, 'normal', 'normal', 'normal', 'default'],
    [{ priority: 0 }, 'batch', 'interactive', 'batch', 'flex'],
    [{ priority: 7 }, 'normal', 'normal', 'batch', 'flex'],
    [{ priority: -1 }, 'normal', 'interactive', 'interactive', 'priority']
  ] as const)('that says %j, of a caller of class %s who may have %s, is %s', (body, own, highest, priority, tier) => {
    expect(serviceClassOf(body, caller(own, highest))).toEqual({ priority, tier })
  })

  it('is refused where it is too urgent and the answer could not say so', () => {
    expect(() => serviceClassOf({ priority: -1 }, caller('normal', 'normal')))
      .toThrow(expect.objectContaining({ code: 'invalid_value', param: 'priority', message: expect.stringContaining('no more urgent than 0, but got -1') }))
  })
})

describe('a server with tenants', () => {
  const tenant: TenantConfig = { name: 'team', keys: ['k-team'], weight: 2, priority: 'normal', highestPriority: 'normal', namesUsers: false, admin: false, models: null, adapters: null, limits: {} }
  const setUp = async () => {
    const inference = createScriptedInference(() => answerEvents(['x']))
    const { app } = await buildTestApp([createTestHost(inference)], {
      config: { tenants: [tenant, { ...tenant, name: 'gateway', keys: ['k-gateway'], namesUsers: true }], queueTimeoutMs: 5, requestTimeoutMs: 900 }
    })
    const ask = async (path: string, key: string, body: object, headers: Record<string, string> = {}) => await app.inject({
      method: 'POST', url: `/v1/${path}`, headers: { authorization: `Bearer ${key}`, ...headers }, payload: { model: 'test-model', ...body }
    })
    return { app, inference, ask }
  }
  const chat = { messages: [{ role: 'user', content: 'Hi' }] }

  it('passes on who asks, with which weight and how urgently', async () => {
    const { app, inference, ask } = await setUp()
    await ask('chat/completions', 'k-team', chat)
    await ask('completions', 'k-gateway', { prompt: 'x', service_tier: 'flex' }, { 'x-llm-d-inference-fairness-id': 'anna' })
    expect(inference.requests).toMatchObject([
      { tenant: 'team', weight: 2, priority: 'normal', queueTimeoutMs: 5 },
      // Batch work waits as long as a request may take.
      { tenant: 'gateway/anna', weight: 2, priority: 'batch', queueTimeoutMs: 900 }
    ])
    await app.close()
  })

  it('says in the answer which tier it was served in', async () => {
    const { app, ask } = await setUp()
    expect((await ask('chat/completions', 'k-team', chat)).json()).toMatchObject({ service_tier: 'default' })
    expect((await ask('chat/completions', 'k-team', { ...chat, service_tier: 'priority' })).json()).toMatchObject({ service_tier: 'default' })
    expect((await ask('completions', 'k-team', { prompt: 'x', service_tier: 'flex' })).json()).toMatchObject({ service_tier: 'flex' })
    const events = readSse((await ask('chat/completions', 'k-team', { ...chat, service_tier: 'flex', stream: true })).body)
    expect(events.length).toBeGreaterThan(1)
    for (const event of events.slice(0, -1)) expect(event).toMatchObject({ service_tier: 'flex' })
    await app.close()
  })

  it('refuses a name that is none', async () => {
    const { app, ask } = await setUp()
    const response = await ask('chat/completions', 'k-gateway', chat, { 'x-llm-d-inference-fairness-id': 'x'.repeat(300) })
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: { param: 'x-llm-d-inference-fairness-id' } })
    await app.close()
  })
})
