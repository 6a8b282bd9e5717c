import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const mainFile = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))

/** A server as users run it: `drawbridge serve …` in a process of its own, on a loopback port of its own. */
export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess
  readonly pid: number
  readonly origin: string
  /** `baseURL` of OpenAI clients. */
  readonly baseURL: string
  /** Everything it has written so far. */
  readonly output: () => string
  /** Asks it to end and gives its exit code. */
  stop (signal?: NodeJS.Signals): Promise<number | null>
}

export async function freePort (): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a port')
  return address.port
}

/** The environment of the tests without settings for the server, and without keys, which whoever runs them may have. */
export const neutralEnvironment = (): NodeJS.ProcessEnv =>
  ({ ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:DRAWBRIDGE|OTEL)_/.test(name))), DRAWBRIDGE_DATA_DIR: 'off' })

/**
 * Starts the built server and waits until `/ready` says yes. It measures nothing at its start, and computes with one thread, unless the
 * flags ask for something else.
 * @param logFile what its standard output is; kept in `output` when there is none.
 * @param main the main module, when it is another copy's than this one's.
 */
export async function startServer (
  flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}, logFile: string | null = null, main = mainFile
): Promise<ServerProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startServerOn(await freePort(), flags, env, logFile, main)
    } catch (error) {
      // A port that was free a moment ago may be another program's by now.
      if (attempt === 5 || !String(error).includes('another program listens there already')) throw error
    }
  }
}

/** Beside other tests: threads that wait for each other take the cores from everybody, however few they compute with. */
function quickStart (flags: readonly string[]): readonly string[] {
  const isGiven = (flag: string): boolean => flags.includes(flag)
  return [...isGiven('--calibrate') ? [] : ['--calibrate', 'off'], ...isGiven('--threads') || isGiven('--config') ? [] : ['--threads', '1']]
}

async function startServerOn (
  port: number, flags: readonly string[], env: NodeJS.ProcessEnv, logFile: string | null, main: string
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main, 'serve', '--port', String(port), '--log-format', 'json', ...quickStart(flags), ...flags], {
    stdio: ['ignore', logFile === null ? 'pipe' : openSync(logFile, 'w'), 'pipe'],
    env: { ...neutralEnvironment(), ...env }
  })
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => { output += text })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { output += text })
  // Unlike 'exit', it comes after all that the process wrote.
  const exited = once(child, 'close')
  const apiKey = flags.find((_, index) => flags[index - 1] === '--api-key')
  const origin = `http://127.0.0.1:${port}`

  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  try {
    await waitUntil(async () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        await exited
        throw new Error(`The server ended with ${child.exitCode ?? child.signalCode}:\n${output}`)
      }
      return await isReady(origin, apiKey)
    })
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  if (child.pid === undefined) throw new Error('The server has no process')
  return {
    child,
    pid: child.pid,
    origin,
    baseURL: `${origin}/v1`,
    output: () => output,
    stop,
    async [Symbol.asyncDispose] () {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
    }
  }
}

export async function isReady (origin: string, apiKey = 'none'): Promise<boolean> {
  try {
    return (await fetch(`${origin}/ready`, { headers: { authorization: `Bearer ${apiKey}` } })).status === 200
  } catch {
    return false
  }
}

/**
 * Waits for a fact. The limit only keeps a broken test from hanging; it asserts nothing about speed.
 * @throws what the check throws, or an error when the limit passes.
 */
export async function waitUntil (
  check: () => boolean | Promise<boolean>, what = 'the expected state', limitMs = 120_000
): Promise<void> {
  const end = performance.now() + limitMs
  while (!await check()) {
    if (performance.now() > end) throw new Error(`${what} did not come within ${limitMs} ms`)
    await delay(10)
  }
}

/** The sum of a metric's samples whose labels include the given ones; 0 when there are none. */
export async function metric (origin: string, name: string, labels: Readonly<Record<string, string>> = {}, apiKey = ''): Promise<number> {
  const text = await (await fetch(`${origin}/metrics`, apiKey === '' ? {} : { headers: { 'x-api-key': apiKey } })).text()
  let sum = 0
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match === null || match[1] !== name) continue
    const isWanted = Object.entries(labels).every(([key, value]) => (match[2] ?? '').includes(`${key}="${value}"`))
    if (isWanted) sum += Number(match[3])
  }
  return sum
}

/** Process ids of a process's children. Slim images of Linux have no `ps`. */
export async function childrenOf (pid: number): Promise<number[]> {
  if (process.platform === 'linux') {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((other) => parentOf(other) === pid)
  }
  const listing = spawn('ps', ['-o', 'pid=', '--ppid', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  listing.stdout.setEncoding('utf8').on('data', (part: string) => { text += part })
  await once(listing, 'close')
  return text.split('\n').map((line) => Number(line.trim())).filter((child) => child > 0)
}

function parentOf (pid: number): number | null {
  try {
    // The name, in parentheses, may hold anything; the state and the parent come after it.
    return Number(/^.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1])
  } catch {
    // It has ended since it was listed.
    return null
  }
}
