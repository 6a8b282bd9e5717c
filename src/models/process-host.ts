import { type AnswerLength, anyLength } from '../domain/answer-length.ts'
import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { withoutSourceFolder } from '../domain/without-source-folder.ts'
import type { EngineInfo } from '../engine/engine.ts'
import { type EngineLoad, type EngineMessage, type EngineSpec, type LogLevel, PROTOCOL_VERSION } from '../inference/protocol.ts'
import { RemoteInference } from '../inference/remote.ts'
import { EngineChild, type EngineExit, engineProcessEntry } from './engine-child.ts'
import type { ModelHost, ModelState } from './model-host.ts'
import { RestartSchedule, type RestartTimes } from './restart-schedule.ts'

/** As pino takes them: an object, then a short sentence. */
export type HostLogger = Readonly<Record<LogLevel, (details: object, message: string) => void>>

export interface ProcessHostOptions {
  readonly id: string
  readonly root: string
  /** In seconds since 1970. */
  readonly createdAt: number
  readonly toolDialect?: ModelHost['toolDialect']
  readonly answerLength?: AnswerLength
  readonly spec: EngineSpec
  /** Its `maxQueue` is also the most that wait for a process while there is none. */
  readonly scheduling: EngineLoad['scheduling']
  /** Longest wait for a process of calls that bring no timeout of their own. */
  readonly queueTimeoutMs: Millis
  /** A busy process that completes no step for this long is killed and replaced. */
  readonly stallTimeoutMs: Millis
  /** libuv's thread pool in the engine process; see `engine/llama-cpp/thread-pool-size.ts`. */
  readonly threadPoolSize: number
  readonly logger: HostLogger
  readonly logLevel: LogLevel | 'silent'
  /** Called with 0 to 1 while the model is loaded. */
  readonly onProgress?: (loaded: number) => void
  /** The state, the process or the number of restarts has changed. */
  readonly onChange?: () => void
  readonly restart?: Partial<RestartTimes>
  /** How long a process that was asked to leave may take to free its memory; it is killed after that. */
  readonly exitGraceMs?: Millis
  /** The module that engine processes run. */
  readonly entry?: string
  /** Monotonic clock in milliseconds. */
  readonly now?: () => Millis
}

export interface ProcessHost extends ModelHost {
  readonly inference: RemoteInference
  /** How long the process that runs, or the last that did, took from its start until it was ready; null before. */
  readonly loadMs: Millis | null
  /** Holds for requests that come from now on. */
  limitAnswers (length: AnswerLength): void
}

const DEFAULT_EXIT_GRACE_MS = 5000

/**
 * Hosts a model in an engine process of its own, which it starts at once, watches, and replaces when it dies. A first start
 * that fails is final; once the model was ready, a new process is tried for as long as the host lives.
 */
export function createProcessHost (options: ProcessHostOptions): ProcessHost {
  return new EngineProcessHost(options)
}

class EngineProcessHost implements ProcessHost {
  readonly id: string
  readonly root: string
  readonly createdAt: number
  readonly toolDialect: NonNullable<ModelHost['toolDialect']>
  readonly inference: RemoteInference
  readonly #options: ProcessHostOptions
  #answerLength: AnswerLength
  readonly #now: () => Millis
  readonly #schedule: RestartSchedule
  #phase: Exclude<ModelState, 'draining'> = 'loading'
  #isDraining = false
  #failure: Error | null = null
  #info: EngineInfo | null = null
  #child: EngineChild | null = null
  /** Why the process said it cannot load, or why it was not let to. */
  #loadError: ServerError | null = null
  /** The first error that was logged while it loaded the model. */
  #firstComplaint: string | null = null
  /** Why it was killed from here; null when it was not. */
  #killReason: string | null = null
  #spawnedAt: Millis = 0
  #restarts = 0
  #loadMs: Millis | null = null
  /** The process is asked to leave, or was killed, and is not to be replaced. */
  #isEnding = false
  readonly #watchers = new Set<() => void>()

  constructor (options: ProcessHostOptions) {
    this.id = options.id
    this.root = options.root
    this.createdAt = options.createdAt
    this.toolDialect = options.toolDialect ?? 'auto'
    this.#answerLength = options.answerLength ?? anyLength
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#schedule = new RestartSchedule(options.restart ?? {})
    this.inference = new RemoteInference({
      maxQueue: options.scheduling.maxQueue,
      queueTimeoutMs: options.queueTimeoutMs,
      stallTimeoutMs: options.stallTimeoutMs,
      now: this.#now,
      onClosing: () => this.#drain(),
      release: () => this.#release(),
      kill: () => this.#kill(),
      onStall: () => this.#killStalled()
    })
    this.#spawn()
  }

  get state (): ModelState { return this.#isDraining && this.#phase !== 'closed' ? 'draining' : this.#phase }
  get failure (): Error | null { return this.#failure }
  get answerLength (): AnswerLength { return this.#answerLength }
  get info (): EngineInfo | null { return this.#info }
  get pid (): number | null { return this.#child?.pid ?? null }
  get restarts (): number { return this.#restarts }
  get loadMs (): Millis | null { return this.#loadMs }

  limitAnswers (length: AnswerLength): void { this.#answerLength = length }

  async ready (signal: AbortSignal): Promise<void> {
    for (;;) {
      if (signal.aborted) throw new ServerError('request_aborted', 'Nobody waits for the model any more')
      if (this.#phase === 'failed' && this.#failure !== null) throw this.#failure
      if (this.#isDraining || this.#phase === 'closed') {
        throw new ServerError('server_draining', `The model ${this.id} is being shut down`)
      }
      if (this.#phase === 'ready') return
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#watchers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#watchers.add(wake)
        signal.addEventListener('abort', wake)
      })
    }
  }

  async close (): Promise<void> {
    await this.inference.close()
  }

  async destroy (error: Error): Promise<void> {
    await this.inference.destroy(error)
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.inference[Symbol.asyncDispose]()
  }

  #spawn (): void {
    this.#loadError = null
    this.#firstComplaint = null
    this.#killReason = null
    this.#spawnedAt = this.#now()
    try {
      const child: EngineChild = new EngineChild({
        entry: this.#options.entry ?? engineProcessEntry(),
        threadPoolSize: this.#options.threadPoolSize,
        onMessage: (message) => { if (child === this.#child) this.#take(message, child) },
        onOutput: (line) => this.#log('debug', { enginePid: child.pid, line }, 'engine process wrote'),
        onExit: (exit) => this.#exited(exit, child)
      })
      this.#child = child
      this.#log('debug', { enginePid: child.pid }, 'engine process started')
      this.#changed()
    } catch (error) {
      // Out of memory or process ids; both may pass.
      const spawnError = error instanceof Error ? error : new Error(String(error))
      this.#exited({ code: null, signal: null, spawnError, lastLines: [] }, null)
    }
  }

  #take (message: EngineMessage, child: EngineChild): void {
    switch (message.type) {
      case 'hello':
        if (message.version === PROTOCOL_VERSION) child.send({ type: 'load', load: this.#load() })
        else this.#refuse(message.version, child)
        break
      case 'progress':
        this.#options.onProgress?.(message.loaded)
        break
      case 'ready':
        this.#loadMs = this.#now() - this.#spawnedAt
        this.#schedule.ready(this.#now())
        this.#phase = 'ready'
        this.#failure = null
        this.#info = message.info
        this.#log('info', { enginePid: child.pid, loadMs: Math.round(this.#loadMs), restarts: this.#restarts }, 'model ready')
        this.inference.connect(child, message.info, message.snapshot)
        this.#changed()
        break
      case 'failed':
        this.#loadError = ServerError.deserialize(message.error)
        // It leaves by itself; if it cannot, its memory is needed all the same.
        this.#seeOff(child, this.#exitGraceMs).catch(() => {})
        break
      case 'stuck':
        this.#killReason = `${message.reason} and was killed`
        child.kill()
        break
      case 'log':
        if (this.#phase === 'loading' && message.level === 'error') this.#firstComplaint ??= message.message
        this.#log(message.level, { enginePid: child.pid, ...message.details }, message.message)
        break
      default:
        this.inference.take(message)
    }
  }

  #load (): EngineLoad {
    const { scheduling, logLevel } = this.#options
    return {
      spec: this.#spec(),
      scheduling,
      adapters: this.inference.adapters,
      logLevel
    }
  }

  /** A process that replaces another computes as that did, so that an answer does not depend on how often one died. */
  #spec (): EngineSpec {
    const { spec } = this.#options
    if (spec.backend !== 'llama-cpp' || this.#info === null) return spec
    const { threads, flashAttention } = this.#info
    return { ...spec, options: { ...spec.options, threads, flashAttention, calibrate: 'off' } }
  }

  #refuse (version: number, child: EngineChild): void {
    this.#loadError = new ServerError('engine_unavailable',
      `The engine process speaks version ${version} of the protocol and the server version ${PROTOCOL_VERSION}: ` +
      'they are of different builds; build again and restart the server')
    child.kill()
  }

  #exited (exit: EngineExit, child: EngineChild | null): void {
    if (child !== this.#child) return
    this.#child = null
    if (this.#isEnding) return
    const details = { enginePid: child?.pid, exitCode: exit.code, signal: exit.signal, lastLines: exit.lastLines }
    const how = this.#killReason ?? describeExit(exit)
    if (this.#phase === 'loading') {
      const failure = this.#loadError ??
        new ServerError('engine_unavailable', `The engine process ${how} while it loaded the model${lastWords(exit, this.#firstComplaint)}`)
      this.#phase = 'failed'
      this.#failure = failure
      this.#log('error', { ...details, error: failure.message }, 'model could not be loaded')
      this.inference.fail(new ServerError('engine_unavailable', `The model could not be loaded: ${failure.message}`))
    } else {
      const failure = new ServerError('engine_crashed', this.inference.isConnected
        ? `The engine process ${how} while it answered this request, which can be sent again`
        : `The engine process could not be started again: ${this.#loadError?.message ?? `it ${how}`}`)
      this.#phase = 'restarting'
      this.#failure = failure
      this.inference.interrupt(failure)
      this.#replace(details)
    }
    this.#changed()
  }

  #replace (details: object): void {
    // Nobody is left to be served: the drain ends here.
    if (this.#isDraining && this.inference.pendingCalls === 0) return
    const delayMs = this.#schedule.crashed(this.#now(), () => {
      if (this.#isEnding) return
      this.#restarts++
      this.#spawn()
    })
    this.#log('error', { ...details, error: this.#failure?.message, restartInMs: delayMs }, 'engine process died')
  }

  #drain (): void {
    this.#isDraining = true
    // Nobody can have been served by a model that was never ready.
    if (this.#phase === 'loading') this.#isEnding = true
    this.#changed()
  }

  /** After the last request. */
  async #release (): Promise<void> {
    const wasReady = this.inference.isConnected
    this.#isEnding = true
    this.#schedule.cancel()
    const child = this.#child
    if (child !== null) {
      if (wasReady) child.send({ type: 'close' })
      await this.#seeOff(child, wasReady ? this.#exitGraceMs : 0)
    }
    this.#closed()
  }

  async #kill (): Promise<void> {
    this.#isDraining = true
    this.#isEnding = true
    this.#schedule.cancel()
    if (this.#child !== null) await this.#seeOff(this.#child, 0)
    this.#closed()
  }

  /** Sees a process off. */
  async #seeOff (child: EngineChild, graceMs: Millis): Promise<void> {
    if (await child.exitWithin(graceMs)) return
    this.#log('error', { enginePid: child.pid }, 'engine process cannot be killed and is left behind')
  }

  #killStalled (): void {
    this.#killReason = `completed no step in ${this.#options.stallTimeoutMs} ms and was killed`
    this.#child?.kill()
  }

  #closed (): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#log('debug', {}, 'model closed')
    this.#changed()
  }

  #changed (): void {
    for (const wake of [...this.#watchers]) wake()
    this.#options.onChange?.()
  }

  get #exitGraceMs (): Millis { return this.#options.exitGraceMs ?? DEFAULT_EXIT_GRACE_MS }

  #log (level: LogLevel, details: object, message: string): void {
    this.#options.logger[level]({ model: this.id, ...details }, message)
  }
}

function describeExit ({ code, signal, spawnError }: EngineExit): string {
  if (spawnError !== null) return `could not be started (${spawnError.message})`
  // Nobody here sent it: most often it was the kernel.
  if (signal === 'SIGKILL') return 'was killed (SIGKILL; perhaps the machine ran out of memory)'
  return signal === null ? `exited with code ${code}` : `died of ${signal}`
}

/** The line that says what happened: before a stack, where there is one. */
function lastWords ({ lastLines }: EngineExit, complaint: string | null): string {
  const line = complaint ?? lastLines.find((line) => /assert|error|abort|terminate|fatal|fail/i.test(line)) ?? lastLines.at(-1)
  return line === undefined ? '' : `; its last words: ${withoutSourceFolder(line.trim())}`
}
