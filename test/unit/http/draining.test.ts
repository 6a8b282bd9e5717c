import { Agent, get, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { Lifecycle } from '../../../src/http/lifecycle.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

async function setUp () {
  const lifecycle = new Lifecycle()
  const { app } = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { lifecycle })
  apps.push(app)
  return { app, lifecycle }
}

describe('while the server drains', () => {
  it.each([
    ['POST', '/v1/chat/completions', { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }] }],
    ['POST', '/v1/responses', { model: 'test-model', input: 'Hi', background: true }],
    ['GET', '/v1/models', undefined],
    ['GET', '/nowhere', undefined]
  ] as const)('%s %s is sent elsewhere', async (method, url, payload) => {
    const { app, lifecycle } = await setUp()
    expect((await app.inject({ method, url, ...(payload === undefined ? {} : { payload }) })).statusCode).not.toBe(503)
    lifecycle.startDraining()
    const answer = await app.inject({ method, url, ...(payload === undefined ? {} : { payload }) })
    expect(answer.statusCode).toBe(503)
    expect(answer.headers).toMatchObject({ 'retry-after': '1', 'retry-after-ms': '1000', connection: 'close' })
    expect(answer.json()).toMatchObject({ error: { code: 'server_draining' } })
  })

  it('tells its state, while its models still work', async () => {
    const { app, lifecycle } = await setUp()
    lifecycle.startDraining()
    expect((await app.inject('/health')).statusCode).toBe(200)
    expect((await app.inject('/metrics')).statusCode).toBe(200)
    const ready = await app.inject('/ready')
    expect(ready.statusCode).toBe(503)
    expect(ready.json()).toMatchObject({ status: 'draining', models: [{ state: 'ready' }] })
  })

  it('answers those who wait for what runs in the background', async () => {
    const { app, lifecycle } = await setUp()
    const { id } = (await app.inject({ method: 'POST', url: '/v1/responses', payload: { model: 'test-model', input: 'Hi', background: true } })).json<{ id: string }>()
    lifecycle.startDraining()
    expect((await app.inject(`/v1/responses/${id}`)).json()).toMatchObject({ id })
    expect((await app.inject({ method: 'POST', url: `/v1/responses/${id}/cancel` })).statusCode).toBe(200)
    expect((await app.inject({ method: 'DELETE', url: `/v1/responses/${id}` })).statusCode).toBe(200)
  })

  it('lets go of kept-alive connections with its refusal', async () => {
    const { app, lifecycle } = await setUp()
    const { port } = await listen(app)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async () => {
      const request = get({ port, path: '/v1/models', agent })
      const [response] = await once(request, 'response') as [IncomingMessage]
      await text(response)
      return { socket: request.socket, isReused: request.reusedSocket, status: response.statusCode }
    }
    await ask()
    lifecycle.startDraining()
    const { socket, ...refusal } = await ask()
    expect(refusal).toEqual({ isReused: true, status: 503 })
    if (socket?.closed === false) await once(socket, 'close')
    agent.destroy()
  })
})

describe('while another process takes over', () => {
  const ask = 'GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n'

  /** A connection, and all that comes on it. */
  async function open (port: number): Promise<{ readonly socket: Socket, readonly all: Promise<string> }> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return { socket, all: text(socket) }
  }

  it('answers what comes on connections that are here, and lets them go', async () => {
    const { app, lifecycle } = await setUp()
    const { port } = await listen(app)
    const fresh = await open(port)
    const silent = await open(port)
    // The server has seen them when it has answered one that came later.
    const used = await open(port)
    used.socket.write(ask)
    await once(used.socket, 'data')
    const over = lifecycle.handOver()
    await expect(open(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    for (const { socket } of [used, fresh]) socket.write(ask)
    for (const { all } of [used, fresh]) expect(await all).toMatch(/HTTP\/1\.1 200 OK\r\n(?:(?!HTTP\/1\.1).)*connection: close\r\n(?:(?!HTTP\/1\.1).)*$/s)
    // Nobody waits for those that say nothing.
    expect(await silent.all).toBe('')
    await over
    expect(lifecycle).toMatchObject({ isHandingOver: true, isDraining: false })
  })

  it('has nothing to wait for when it does not listen yet', async () => {
    const { lifecycle } = await setUp()
    await lifecycle.handOver()
    expect(lifecycle.isHandingOver).toBe(true)
  })
})
