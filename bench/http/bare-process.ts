import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import type { MeasuredServer } from './measure.ts'

/** Fastify alone, in a process of its own. */
export class BareProcess implements MeasuredServer, AsyncDisposable {
  readonly #child: ChildProcess
  readonly url: string
  readonly pid: number
  readonly enginePids: readonly number[] = []

  private constructor (child: ChildProcess, pid: number, port: number) {
    this.#child = child
    this.pid = pid
    this.url = `http://127.0.0.1:${port}`
  }

  static async start (): Promise<BareProcess> {
    // This file runs as dist/bench/http/bare-process.js.
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'bare-server.js')], { stdio: ['pipe', 'pipe', 'inherit'] })
    const [line] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) }) as [Buffer]
    if (child.pid === undefined) throw new Error('The bare server could not be spawned')
    return new BareProcess(child, child.pid, Number(line.toString()))
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
  }
}
