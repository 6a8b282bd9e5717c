import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { type ErrorCode, errorCatalogue } from '../../../src/domain/errors.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, type TestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'
import { badRequests, secret } from './bad-requests.ts'

const inference = createScriptedInference(() => answerEvents([secret]))
let app: FastifyInstance
let logText: TestApp['logText']
beforeAll(async () => { ({ app, logText } = await buildTestApp([createTestHost(inference)])) })
afterAll(async () => await app.close())

const isCode = (code: string): code is ErrorCode => Object.hasOwn(errorCatalogue, code)

describe.each(Object.entries(badRequests))('a request to %s', (url, requests) => {
  it.each(requests)('with %s is refused by name', async (_what, body, code, param, message) => {
    const before = inference.requests.length
    const response = await app.inject({ method: 'POST', url, payload: body })
    if (!isCode(code)) throw new Error(`${code} is no code of the catalogue`)
    const { status, type } = errorCatalogue[code]
    expect(response.json()).toEqual({ error: { code, param, type, message: expect.stringContaining(message) } })
    expect(response.statusCode).toBe(status)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(inference.requests).toHaveLength(before)
  })
})

describe('models', () => {
  it.each([
    ['nobody has', '/v1/models/gpt-4'],
    ['have no name', '/v1/models/%20'],
    ['are no path', '/v1/models/..%2F..%2Fetc%2Fpasswd'],
    ['are too long to be one', `/v1/models/${'x'.repeat(1000)}`]
  ])('that %s are not found', async (_what, url) => {
    const response = await app.inject({ url })
    expect(response.json()).toEqual({ error: { code: 'model_not_found', param: 'model', type: 'not_found_error', message: expect.any(String) } })
    expect(response.statusCode).toBe(404)
  })
})

describe('the table of bad requests', () => {
  it('has each of them once', () => {
    for (const requests of Object.values(badRequests)) {
      expect(new Set(requests.map(([what]) => what)).size).toBe(requests.length)
      expect(new Set(requests.map(([, body]) => JSON.stringify(body))).size).toBe(requests.length)
    }
    expect(Object.values(badRequests).flat().length).toBeGreaterThanOrEqual(150)
  })

  // Runs last: the log has all of them by then.
  it('leaves nothing of prompts in the log', async () => {
    expect((await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { model: 'test-model', messages: [{ role: 'user', content: secret }] } })).statusCode).toBe(200)
    expect(logText()).toContain('request finished')
    expect(logText()).not.toContain(secret)
  })
})
