import { type ChildProcess, fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import { compiledModule } from '../domain/compiled-module.ts'
import type { Millis } from '../domain/ids.ts'
import { waitPolicy } from '../engine/llama-cpp/wait-policy.ts'
import type { EngineMessage, ServerMessage } from '../inference/protocol.ts'

export interface EngineChildOptions {
  /** The module that the process runs. */
  readonly entry: string
  /** `UV_THREADPOOL_SIZE` of the process; only its parent can set it. */
  readonly threadPoolSize: number
  readonly onMessage: (message: EngineMessage) => void
  /** A line on the process's stdout or stderr: what native code has to say, and stacks of errors nobody caught. */
  readonly onOutput: (line: string) => void
  /** Called once, after the last message and the last line. */
  readonly onExit: (exit: EngineExit) => void
}

export interface EngineExit {
  /** Exit code; null when a signal ended the process, or when it could not be started. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Why it could not be started; null when it could. */
  readonly spawnError: Error | null
  /** The last lines of its output. A failed assertion of native code is told there. */
  readonly lastLines: readonly string[]
}

const KEPT_LINES = 20

/** After its exit, a process's pipes may be held open by others; they are not waited for longer than this. */
const PIPE_GRACE_MS: Millis = 1000
/** Even a killed process stays while a driver holds it; it is not waited for longer than this. */
const KILL_GRACE_MS: Millis = 10_000

/** One run of an engine process. */
export class EngineChild {
  readonly #process: ChildProcess
  readonly #exited: Promise<void>
  #hasExited = false
  readonly #lastLines: string[] = []

  constructor ({ entry, threadPoolSize, onMessage, onOutput, onExit }: EngineChildOptions) {
    const child = fork(entry, [], {
      serialization: 'json',
      // The server's own flags (an inspector's port, a test runner's loader) are not the engine's.
      execArgv: [],
      env: engineEnvironment(threadPoolSize),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    })
    this.#process = child
    child.on('message', (message) => onMessage(message as EngineMessage))
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
        if (line.trim() === '') return
        if (this.#lastLines.push(line) > KEPT_LINES) this.#lastLines.shift()
        onOutput(line)
      })
    }

    // An engine process leaves by itself when its channel closes, unless its main thread hangs.
    const killWithParent = (): void => { child.kill('SIGKILL') }
    process.setMaxListeners(process.getMaxListeners() + 1)
    process.once('exit', killWithParent)

    this.#exited = new Promise((resolve) => {
      let pipeTimer: NodeJS.Timeout | undefined
      const finish = (code: number | null, signal: NodeJS.Signals | null, spawnError: Error | null): void => {
        if (this.#hasExited) return
        this.#hasExited = true
        clearTimeout(pipeTimer)
        process.off('exit', killWithParent)
        process.setMaxListeners(process.getMaxListeners() - 1)
        onExit({ code, signal, spawnError, lastLines: this.#lastLines })
        resolve()
      }
      // 'close' comes after the channel and both pipes were read to their ends: no event that was sent is lost.
      child.on('close', (code, signal) => finish(code, signal, null))
      child.on('exit', (code, signal) => { pipeTimer = setTimeout(() => finish(code, signal, null), PIPE_GRACE_MS) })
      child.on('error', (error) => { if (child.pid === undefined) finish(null, null, error) })
    })
  }

  get pid (): number | null { return this.#process.pid ?? null }

  /** What can no longer be delivered is lost; the exit of the process says the rest. */
  send (message: ServerMessage): void {
    if (this.#process.connected) this.#process.send(message, () => {})
  }

  kill (): void {
    this.#process.kill('SIGKILL')
  }

  /**
   * Waits for the process to exit and for `onExit`; kills it after the grace.
   * @returns whether it is gone.
   */
  async exitWithin (graceMs: Millis): Promise<boolean> {
    if (graceMs > 0 && await this.#exitsWithin(graceMs)) return true
    this.kill()
    return await this.#exitsWithin(KILL_GRACE_MS)
  }

  async #exitsWithin (limitMs: Millis): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const limit = new Promise<void>((resolve) => { timer = setTimeout(resolve, limitMs) })
    await Promise.race([this.#exited, limit])
    clearTimeout(timer)
    return this.#hasExited
  }
}

/** The engine takes no settings from the environment, and has no use for keys. */
function engineEnvironment (threadPoolSize: number): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DRAWBRIDGE_'))
  return { ...Object.fromEntries(inherited), UV_THREADPOOL_SIZE: String(threadPoolSize), ...waitPolicy(process.env) }
}

/** The main module of engine processes. */
export const engineProcessEntry = (): string => compiledModule('inference/engine-process')
