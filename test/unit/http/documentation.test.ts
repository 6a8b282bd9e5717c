import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, type TestAppOptions } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

async function setUp (options: TestAppOptions = {}) {
  const { app } = await buildTestApp([createTestHost(createScriptedInference(() => []), { id: 'secret-model' })], options)
  apps.push(app)
  return {
    app,
    get: async (url: string, headers: Record<string, string> = {}) => await app.inject({ method: 'GET', url, headers })
  }
}

describe('the API\'s own description', () => {
  it('is there for everybody, and says nothing of what is on the server', async () => {
    const { get } = await setUp({ config: { apiKeys: ['key'] }, version: '1.2.3' })
    const response = await get('/openapi.json')
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toMatch(/^application\/json/)
    expect(response.json()).toMatchObject({ openapi: '3.1.1', info: { title: 'Drawbridge', version: '1.2.3' } })
    expect(response.body).not.toContain('secret-model')
    expect((await get('/v1/models')).statusCode).toBe(401)
  })

  it.each(['/docs', '/docs/'])('is shown at %s by files of the package alone', async (url) => {
    const { get } = await setUp({ config: { apiKeys: ['key'] } })
    const page = await get(url)
    expect(page.statusCode).toBe(200)
    expect(page.headers['content-type']).toMatch(/^text\/html/)
    expect(page.headers['x-content-type-options']).toBe('nosniff')
    const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source!)
    expect(sources.length).toBeGreaterThan(4)
    for (const source of sources) {
      const { pathname, host } = new URL(source, `http://drawbridge${url}`)
      expect(host).toBe('drawbridge')
      expect({ pathname, status: (await get(pathname)).statusCode }).toEqual({ pathname, status: 200 })
    }
    expect((await get('/docs/json')).json()).toEqual((await get('/openapi.json')).json())
  })

  it('runs no script that is not a file, and cannot be framed', async () => {
    const { get } = await setUp()
    const { body, headers } = await get('/docs/')
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain('default-src \'self\'')
    expect(policy).not.toContain('script-src')
    expect(policy).toContain('frame-ancestors \'none\'')
    for (const [, attributes, text] of body.matchAll(/<script([^>]*)>([^]*?)<\/script>/g)) {
      expect(attributes).toContain('src=')
      expect(text?.trim()).toBe('')
    }
    // Other answers are no pages, and do not get what this one needs.
    expect(String((await get('/health')).headers['content-security-policy'])).not.toContain('unsafe-inline')
  })

  it('leaves errors as they are everywhere', async () => {
    const { app, get } = await setUp()
    for (const url of ['/docs/nothing', '/docs/yaml', '/docs/static/nothing.js', '/docs/static/..%2f..%2fpackage.json']) {
      const response = await get(url)
      expect({ url, status: response.statusCode }).toEqual({ url, status: 404 })
      expect(response.json()).toMatchObject({ error: { code: 'route_not_found' } })
    }
    const response = await app.inject({ method: 'POST', url: '/openapi.json', payload: {} })
    expect(response.statusCode).toBe(405)
    expect(response.headers['allow']).toBe('GET, HEAD')
  })

  it('can be switched off', async () => {
    const { get } = await setUp({ config: { apiDocs: 'off' } })
    for (const url of ['/openapi.json', '/docs', '/docs/', '/docs/json', '/docs/static/index.css']) expect((await get(url)).statusCode).toBe(404)
  })
})
