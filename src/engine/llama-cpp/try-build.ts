import { fork } from 'node:child_process'
import { once } from 'node:events'
import { compiledModule } from '../../domain/compiled-module.ts'
import { withoutSourceFolder } from '../../domain/without-source-folder.ts'
import { threadPoolSize } from './thread-pool-size.ts'
import { waitPolicy } from './wait-policy.ts'

/** Which llama.cpp to try, and on what. Plain data: it goes to another process. */
export interface BuildTrial {
  readonly source: 'local' | 'prebuilt'
  readonly gpu: 'off' | 'cuda' | 'vulkan' | 'metal'
  /** A small model; the trial reads a question and decodes an answer. */
  readonly modelPath: string
  readonly threads: number
}

export interface BuildTrialResult {
  /** As `EngineInfo.build`. */
  readonly build: string
  /** What the model said. */
  readonly text: string
  readonly tokensPerSecond: number
}

export interface TryBuildOptions {
  /** The module that the process runs. */
  readonly entry?: string
  /** A trial that takes longer has failed. */
  readonly timeoutMs?: number
}

/** Lines of what a trial writes that are kept, about. */
const mostWritten = 200

/** The process ended without a word of its own: what it tried to run cannot be run here. */
export class TrialDeath extends Error {
  constructor (message: string) {
    super(message)
    this.name = 'TrialDeath'
  }
}

/**
 * Loads a build of llama.cpp and lets it decode, in a process of its own: code that a processor cannot run kills the
 * process that tries.
 * @throws Error whose message is the end of a sentence: why it does not work
 * @throws TrialDeath, likewise
 */
export async function tryBuild (trial: BuildTrial, { entry = compiledModule('engine/llama-cpp/trial-process'), timeoutMs = 60_000 }: TryBuildOptions = {}): Promise<BuildTrialResult> {
  const child = fork(entry, [JSON.stringify(trial)], {
    serialization: 'json',
    execArgv: [],
    env: { ...process.env, UV_THREADPOOL_SIZE: String(threadPoolSize(1, { isOnGpu: false, cores: 1 })), ...waitPolicy(process.env) },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc']
  })
  let result: BuildTrialResult | null = null
  let complaint: string | null = null
  const written: string[] = []
  child.on('message', (message: BuildTrialResult | { readonly error: string }) => {
    if ('error' in message) complaint = message.error
    else result = message
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (written.length < mostWritten) written.push(...text.split('\n'))
  })
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const [code, killedBy] = await once(child, 'close', { signal }) as [number | null, NodeJS.Signals | null]
    if (result !== null && code === 0) return result
    if (complaint !== null) throw new Error(complaint)
    throw new TrialDeath(reasonIn(written) ?? (killedBy === null ? `its trial ended with exit code ${code}` : `its trial was ended by ${killedBy}`))
  } catch (error) {
    if (signal.aborted) throw new Error(`its trial took longer than ${timeoutMs / 1000} s`, { cause: error })
    throw error
  } finally {
    child.kill('SIGKILL')
  }
}

/** The dynamic linker names the library that is missing, and a backend what went wrong, in one line: "error: ", then what. */
function reasonIn (written: readonly string[]): string | null {
  const line = written.find((each) => /\berror: /i.test(each)) ?? written.find((each) => /error|fail|cannot/i.test(each))
  return line === undefined ? null : withoutSourceFolder(line.trim()).slice(0, 200)
}
