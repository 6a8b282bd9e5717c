import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Agent, request, type IncomingMessage } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { childrenOf, neutralEnvironment, waitUntil } from '../support/server-process.ts'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))

interface BoundSocket {
  readonly fd: number
  getsockname (address: object): number
  close (): void
}

/** A socket as systemd has it: bound, and open for as long as the test wants, whoever takes connections from it. */
function bindSocket (): { readonly fd: number, readonly port: number, readonly close: () => void } {
  // What Node's cluster module uses; a server of Node's own would take connections itself.
  const { _createServerHandle: bind } = net as unknown as { _createServerHandle: (address: string, port: number, family: number) => BoundSocket }
  const handle = bind('127.0.0.1', 0, 4)
  const address = {} as AddressInfo
  handle.getsockname(address)
  return { fd: handle.fd, port: address.port, close: () => handle.close() }
}

interface Instance {
  readonly child: ChildProcess
  readonly output: () => string
  readonly exited: Promise<unknown>
}

let directory: string
const instances: Instance[] = []
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-hand-over-')) })
afterEach(async () => {
  for (const { child, exited } of instances.splice(0)) {
    if (child.exitCode === null) child.kill('SIGKILL')
    await exited
  }
  rmSync(directory, { recursive: true })
})

/** A server that finds the socket where systemd would have put it. */
function startOn (fd: number, flags: readonly string[], environment: NodeJS.ProcessEnv = {}): Instance {
  // systemd names the process that the socket is for, which is the same one before and after `exec`.
  const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'sh', process.execPath, main, '--model', 'fake', '--log-format', 'json', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe', fd], env: { ...neutralEnvironment(), ...environment }
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr] as NodeJS.ReadableStream[]) stream.setEncoding('utf8').on('data', (part: string) => { output += part })
  const instance = { child, output: () => output, exited: once(child, 'close') }
  instances.push(instance)
  return instance
}

const untilReady = async ({ child, output }: Instance): Promise<void> => await waitUntil(() => {
  if (child.exitCode !== null) throw new Error(`The server ended:\n${output()}`)
  return output().includes('"msg":"ready"')
}, 'the server')

async function stop ({ child, exited, output }: Instance): Promise<void> {
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
  expect(output()).not.toContain('ending running requests')
}

/** Clients that ask one request after the other, some on connections of their own, some on one that they keep. */
function load (port: number, count: number) {
  const ending = new AbortController()
  const failures: string[] = []
  let answered = 0
  const clients = Array.from({ length: count }, async (_, index) => {
    const agent = index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : new Agent()
    while (!ending.signal.aborted) {
      try {
        const asked = request({ host: '127.0.0.1', port, path: '/v1/completions', method: 'POST', agent, headers: { 'content-type': 'application/json', authorization: 'Bearer k' } })
        asked.end(JSON.stringify({ model: 'fake', prompt: 'Hi', max_tokens: 8, ignore_eos: true, stream: index % 4 < 2 }))
        const [response] = await once(asked, 'response') as [IncomingMessage]
        const body = await text(response)
        if (response.statusCode === 200 && body.includes('"finish_reason":"length"')) answered++
        else failures.push(`${response.statusCode} ${body}`)
      } catch (error) {
        failures.push(String(error))
      }
    }
    agent.destroy()
  })
  return {
    answered: () => answered,
    failures: () => failures,
    end: async () => {
      ending.abort()
      await Promise.all(clients)
    }
  }
}

/** What a process has open; nothing of one that has ended. */
function openFilesOf (pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`))
  } catch {
    return []
  }
}

const flags = ['--api-key', 'k', '--slots', '8', '--fake-step-ms', '2']

describe('a socket that outlives the servers', () => {
  it('loses no request when one server takes over from another, nor when a server restarts', async () => {
    const socket = bindSocket()
    const first = startOn(socket.fd, flags)
    await untilReady(first)
    const clients = load(socket.port, 16)
    const moreAnswers = async (): Promise<void> => {
      const before = clients.answered()
      await waitUntil(() => clients.answered() > before + 50 || clients.failures().length > 0, 'answers')
    }
    await moreAnswers()

    const second = startOn(socket.fd, flags)
    await untilReady(second)
    await stop(first)
    await moreAnswers()

    // Nobody takes connections for a moment: they wait.
    await stop(second)
    const third = startOn(socket.fd, flags)
    await untilReady(third)
    await moreAnswers()
    await clients.end()
    expect(clients.failures()).toEqual([])
    await stop(third)
    socket.close()
  })

  it('is only for the server, which tells systemd when it answers', async () => {
    const told = path.join(directory, 'told')
    const program = path.join(directory, 'systemd-notify')
    writeFileSync(program, `#!/bin/sh\necho "$@" > ${told}\n`)
    chmodSync(program, 0o755)
    const socket = bindSocket()
    const server = startOn(socket.fd, flags, { PATH: `${directory}:${process.env['PATH']}`, NOTIFY_SOCKET: '/run/systemd/notify' })
    await untilReady(server)
    await waitUntil(() => statSync(told, { throwIfNoEntry: false })?.size === '--ready\n'.length, 'the word to systemd')
    if (process.platform === 'linux') {
      const pid = server.child.pid as number
      const own = readlinkSync(`/proc/${pid}/fd/3`)
      expect(own).toMatch(/^socket:/)
      // The program that told systemd may be about to end.
      const engines = (await childrenOf(pid)).map(openFilesOf).filter((files) => files.length > 0)
      expect(engines.length).toBeGreaterThan(0)
      expect(engines.flat()).not.toContain(own)
    }
    await stop(server)
    socket.close()
  })

  it('is not opened to everybody by a server without keys', async () => {
    const socket = bindSocket()
    const { output, exited } = startOn(socket.fd, [])
    expect(await exited).toEqual([1, null])
    expect(output()).toContain('the socket of systemd is "0.0.0.0", where others can reach the server, and there is no API key')
    socket.close()
  })
})
