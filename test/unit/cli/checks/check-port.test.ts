import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { describe, expect, it } from 'vitest'
import { checkPort } from '../../../../src/cli/checks/check-port.ts'

const check = async (port: number, host = '127.0.0.1') => await checkPort({ host, port, isTls: false, sourceOf: (flag) => `--${flag}` })

async function on <Answer> (server: Server, work: (port: number) => Promise<Answer>): Promise<Answer> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await work((server.address() as AddressInfo).port)
  } finally {
    server.close()
    await once(server, 'close')
  }
}

describe('the address to listen on', () => {
  it('is free, or in use by a server of this kind, or by another program', async () => {
    const port = await on(createServer(), async (taken) => taken)
    expect(await check(port)).toEqual({ about: 'address', state: 'ok', text: `http://127.0.0.1:${port} is free` })
    const own = createHttpServer((_, response) => response.setHeader('connection', 'close').end('{"status":"ok"}'))
    expect(await on(own, check)).toMatchObject({ state: 'warning', text: expect.stringContaining('in use by a server that answers /health') as string })
    const other = createHttpServer((_, response) => response.setHeader('connection', 'close').end('hello'))
    expect(await on(other, check)).toMatchObject({ state: 'problem', text: expect.stringContaining('another program listens there already') as string })
  })

  it('must be one of this machine', async () => {
    expect(await check(0, '203.0.113.1')).toEqual({ about: 'address', state: 'problem', text: '--host is "203.0.113.1", which is no address of this machine' })
  })
})
