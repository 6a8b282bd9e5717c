import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { threadPoolSize } from '../../src/engine/llama-cpp/thread-pool-size.ts'
import { waitPolicy } from '../../src/engine/llama-cpp/wait-policy.ts'
import { descendantsOf, readUsage, sumUsage } from '../support/process-usage.ts'
import type { ServerProcess } from '../support/server-process.ts'
import type { LayerName, LayerOptions, LayerReply, LayerRequest, LayerResult, RunOptions } from './layer.ts'

/** CPU time of every process that takes part, for one token, in microseconds. */
export interface LayerSample extends LayerResult {
  readonly tokensPerSecond: number
  /** The process that decodes; for `engine` and `local` the only one. */
  readonly engineMicrosPerToken: number
  /** The server's, or the one that holds the other end of the IPC; 0 where there is none. */
  readonly serverMicrosPerToken: number
  /** The HTTP client's; 0 where there is none. */
  readonly clientMicrosPerToken: number
}

/** A layer in a process of its own, with a thread pool as the server gives to its engine processes. */
export class LayerHandle implements AsyncDisposable {
  readonly name: LayerName
  readonly #child: ChildProcess
  readonly #server: ServerProcess

  private constructor (name: LayerName, child: ChildProcess, server: ServerProcess) {
    this.name = name
    this.#child = child
    this.#server = server
  }

  static async open (name: LayerName, options: LayerOptions, server: ServerProcess): Promise<LayerHandle> {
    // This file runs as dist/bench/ratio/layer-handle.js.
    const child = fork(path.join(import.meta.dirname, 'layer-process.js'), [], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(threadPoolSize(options.engine.laneCount, { isOnGpu: false, cores: 1 })), ...waitPolicy(process.env) }
    })
    const handle = new LayerHandle(name, child, server)
    try {
      await handle.#ask({ type: 'open', name, options }, AbortSignal.timeout(60_000))
    } catch (error) {
      await handle[Symbol.asyncDispose]()
      throw error
    }
    return handle
  }

  /** @throws when a stream fails or is too short, or the signal fires. */
  async run (options: RunOptions, seconds: number, signal: AbortSignal): Promise<LayerSample> {
    const before = this.#usage()
    const reply = await this.#ask({ type: 'run', options, seconds }, signal)
    const after = this.#usage()
    if (reply.type !== 'ran') throw new Error(`The process of ${this.name} answered with ${reply.type}`)
    const { result } = reply
    const perToken = (key: keyof typeof after): number => (after[key] - before[key]) * 1e6 / result.tokens
    return {
      ...result,
      tokensPerSecond: result.tokens / result.seconds,
      engineMicrosPerToken: perToken('engine'),
      serverMicrosPerToken: perToken('server'),
      clientMicrosPerToken: perToken('client')
    }
  }

  /** CPU seconds so far, by role. */
  #usage (): { readonly engine: number, readonly server: number, readonly client: number } {
    const pid = this.#child.pid ?? -1
    const own = readUsage(pid)?.cpuSeconds ?? Number.NaN
    switch (this.name) {
      case 'engine':
      case 'local':
        return { engine: own, server: 0, client: 0 }
      case 'remote':
        return { engine: sumUsage(descendantsOf(pid)).cpuSeconds, server: own, client: 0 }
      case 'http':
        return {
          engine: sumUsage(this.#server.enginePids).cpuSeconds,
          server: readUsage(this.#server.pid)?.cpuSeconds ?? Number.NaN,
          client: own
        }
    }
  }

  async #ask (request: LayerRequest, signal: AbortSignal): Promise<LayerReply> {
    signal.throwIfAborted()
    return await new Promise<LayerReply>((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.#child.off('message', take)
        this.#child.off('exit', exited)
        signal.removeEventListener('abort', aborted)
        act()
      }
      const take = (reply: LayerReply): void => settle(() => {
        if (reply.type === 'failed') reject(new Error(`${this.name}: ${reply.message}`))
        else resolve(reply)
      })
      const exited = (code: number | null): void => settle(() => reject(new Error(`The process of ${this.name} exited with ${code}`)))
      const aborted = (): void => settle(() => reject(signal.reason instanceof Error ? signal.reason : new Error('Stopped')))
      this.#child.on('message', take)
      this.#child.on('exit', exited)
      signal.addEventListener('abort', aborted)
      this.#child.send(request)
    })
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    if (this.#child.connected) this.#child.disconnect()
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await exited
    clearTimeout(insist)
  }
}
