import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server-process.ts'

const main = fileURLToPath(new URL('../../dist/bench/hostile/main.js', import.meta.url))

/** Its exit code, and the cells of its table without the times. */
async function trySecurity (url: string, ...flags: readonly string[]) {
  const { code, stdout } = await promisify(execFile)(process.execPath, [main, url, '--connections', '200', '--slow-for', '1s', ...flags])
    .then(({ stdout }) => ({ code: 0, stdout }), (error: { code: number, stdout: string }) => error)
  return { code, rows: stdout.trimEnd().split('\n').slice(2).map((line) => line.split(' | ').map((cell) => cell.replace(/^\| |\|$/g, '').trim()).slice(0, 4)) }
}

describe('the security try-out', () => {
  it('does a server no harm, whatever it tries', async () => {
    await using server = await startServer(['--model', 'fake', '--api-key', 'k'])
    const { code, rows } = await trySecurity(server.origin, '--api-key', 'k')
    expect(rows.filter(([state]) => state !== 'ok')).toEqual([])
    expect(code).toBe(0)
    expect(new Set(rows.map(([, group]) => group))).toEqual(new Set(['paths', 'headers', 'sizes', 'smuggling', 'JSON', 'grammars', 'slow clients', 'idle clients']))
    expect(server.child.exitCode).toBeNull()
    expect(server.output()).not.toContain('uncaught error')
  })

  it('sees a server that is harmed', async () => {
    const careless = createServer((request, response) => {
      response.setHeader('connection', 'close')
      if (request.url === '/v1/models') response.end('{"data":[{"id":"x"}]}')
      else if (request.url?.includes('passwd') === true) response.end('root:x:0:0:root:/root:/bin/sh')
      else response.end('{}')
    })
    careless.listen(0, '127.0.0.1')
    await once(careless, 'listening')
    const { code, rows } = await trySecurity(`http://127.0.0.1:${(careless.address() as AddressInfo).port}`)
    careless.closeAllConnections()
    careless.close()
    expect(code).toBe(1)
    const harmed = rows.filter(([state]) => state === 'NOT OK')
    expect(harmed).toContainEqual(['NOT OK', 'paths', '//etc/passwd', '200, and what nobody may see'])
    expect(harmed.map(([, , name]) => name)).toContain('many choices')
  })
})
