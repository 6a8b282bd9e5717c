import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { descendantsOf } from './process-usage.ts'

export interface ServerProcessOptions {
  /** Flags of `drawbridge serve`, without host, port and log level. */
  readonly flags: readonly string[]
  /** Write CPU profiles of the server and the engine process into this folder. */
  readonly profileFolder?: string | undefined
  readonly startTimeoutMs?: number
}

/** A server with keys says whether it is ready to those that have one. */
function keyIn (flags: readonly string[]): string | null {
  const index = flags.indexOf('--api-key')
  return index === -1 ? null : flags[index + 1] ?? null
}

/** The built server as a real process of its own, as users run it. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly url: string
  readonly pid: number

  private constructor (child: ChildProcess, pid: number, url: string) {
    this.#child = child
    this.pid = pid
    this.url = url
  }

  /** @throws when it exits or is not ready in time; it is then gone. */
  static async start (options: ServerProcessOptions): Promise<ServerProcess> {
    const port = await freePort()
    // This file runs as dist/bench/support/server-process.js.
    const main = path.resolve(import.meta.dirname, '../../src/cli/main.js')
    const child = spawn(process.execPath, [
      main, 'serve', '--host', '127.0.0.1', '--port', String(port), '--log-level', 'warn',
      '--log-format', 'json', ...options.flags
    ], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(options.profileFolder)
    })
    let output = ''
    const keep = (chunk: Buffer): void => { output = (output + chunk.toString()).slice(-4000) }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    await once(child, 'spawn')
    if (child.pid === undefined) throw new Error('The server could not be spawned')

    const server = new ServerProcess(child, child.pid, `http://127.0.0.1:${port}`)
    try {
      await server.#becomeReady(options.startTimeoutMs ?? 60_000, keyIn(options.flags))
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw new Error(`${error instanceof Error ? error.message : String(error)}. Its last output:\n${output}`)
    }
    return server
  }

  /** Engine processes, one for each model. */
  get enginePids (): readonly number[] { return descendantsOf(this.pid) }

  async #becomeReady (timeoutMs: number, apiKey: string | null): Promise<void> {
    const headers = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
    const deadline = performance.now() + timeoutMs
    while (performance.now() < deadline) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`The server exited with ${this.#child.exitCode ?? this.#child.signalCode}`)
      }
      const response = await fetch(`${this.url}/ready`, { headers, signal: AbortSignal.timeout(2000) }).catch(() => null)
      await response?.body?.cancel()
      if (response?.status === 200) return
      await sleep(50)
    }
    throw new Error(`The server was not ready within ${timeoutMs} ms`)
  }

  /** Asks it to end, insists after ten seconds, and returns when it has gone. */
  async [Symbol.asyncDispose] (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    const engines = this.enginePids
    this.#child.kill('SIGTERM')
    const insist = setTimeout(() => {
      this.#child.kill('SIGKILL')
      for (const pid of engines) {
        try { process.kill(pid, 'SIGKILL') } catch { /* It went by itself. */ }
      }
    }, 10_000)
    await exited
    clearTimeout(insist)
  }
}

/** The benchmark's settings are its flags alone, and it needs no key. NODE_OPTIONS reaches the engine process too, which flags do not. */
function environment (profileFolder: string | undefined): NodeJS.ProcessEnv {
  const inherited = { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DRAWBRIDGE_'))), DRAWBRIDGE_DATA_DIR: 'off' }
  if (profileFolder === undefined) return inherited
  const preload = pathToFileURL(path.join(import.meta.dirname, 'profile.js')).href
  return { ...inherited, NODE_OPTIONS: `--import ${preload}`, PROFILE_FOLDER: path.resolve(profileFolder) }
}

/** A port that was free a moment ago. */
async function freePort (): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('No port could be had')
  return address.port
}
