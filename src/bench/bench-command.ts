import { setMaxListeners } from 'node:events'
import { StartupError } from '../domain/startup-error.ts'
import { BenchServer } from './bench-server.ts'
import { calibrate } from './calibrate.ts'
import { createWorkload } from './create-workload.ts'
import { benchHelp } from './help.ts'
import { parseOptions, type BenchCommand, type BenchOptions } from './parse-options.ts'
import { ProgressLine } from './progress-line.ts'
import type { BenchReport, BenchRun } from './report/bench-run.ts'
import { compareFiles } from './report/compare-files.ts'
import { compareRuns } from './report/compare.ts'
import { checkWritable } from './report/report-file.ts'
import { describeMachine } from './report/report-machine.ts'
import { saturationsOf } from './report/saturation.ts'
import { terminalReport, withoutControls } from './report/terminal.ts'
import { writeReport, type ReportFiles } from './report/write-report.ts'
import { BenchRunner } from './run-bench.ts'
import { asOneLine, secretsOf, withoutQueryValues, withoutSecrets } from './secrets.ts'

/** Flags whose values are secrets. */
const secretFlags = ['--api-key', '--vs-api-key', '--tenant', '--header']

/**
 * Runs `drawbridge bench`.
 * @param argv what follows `bench`.
 * @returns the exit code: 0; 1 when a run had no completed request; 130 when it was interrupted, after a report of what there was.
 * @throws StartupError for wrong flags, and servers that do not answer; without keys, and without control characters of a server's.
 */
export async function benchCommand (argv: readonly string[], environment: NodeJS.ProcessEnv, version: string): Promise<number> {
  const command = parseOptions(argv, environment)
  try {
    return await runCommand(command, argv, version)
  } catch (error) {
    if (!(error instanceof StartupError)) throw error
    const message = command.type === 'run' ? withoutSecrets(error.message, secretsOf(command.options)) : error.message
    throw new StartupError(asOneLine(withoutQueryValues(message)), { cause: error })
  }
}

async function runCommand (command: BenchCommand, argv: readonly string[], version: string): Promise<number> {
  if (command.type === 'help') {
    process.stdout.write(benchHelp())
    return 0
  }
  const { jsonFile, htmlFile } = command.type === 'run' ? command.options : command
  checkWritable('--json', jsonFile)
  checkWritable('--html', htmlFile)
  if (command.type === 'compare') {
    publish(compareFiles(command.files, commandLine(argv), { ...describeMachine(), version }), command)
    return 0
  }
  const interruption = new AbortController()
  // Every request listens.
  setMaxListeners(0, interruption.signal)
  const reason = new StartupError('Interrupted before anything was measured')
  const interrupt = (): void => interruption.abort(reason)
  // Once, so that a second Ctrl+C ends the process.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, interrupt)
  try {
    const machine = { ...describeMachine(), version }
    const runs = await runServers(command.options, interruption.signal)
    publish(reportOf(runs, command.options, commandLine(argv), machine), command.options)
    if (interruption.signal.aborted) return 130
    return runs.length === 0 || runs.some(({ completed }) => completed === 0) ? 1 : 0
  } catch (error) {
    if (error !== reason) throw error
    process.stderr.write(`drawbridge: ${reason.message}\n`)
    return 130
  } finally {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(name, interrupt)
  }
}

async function runServers (options: BenchOptions, signal: AbortSignal): Promise<readonly BenchRun[]> {
  using progress = new ProgressLine(process.stderr)
  const servers: BenchServer[] = []
  try {
    for (const server of options.servers) servers.push(await BenchServer.connect(server, options, signal))
    // Both are asked what the first one's tokens make: the same questions.
    const [scale] = await Promise.all(servers.map(async (server) => await calibrate(server, options, signal)))
    if (scale === undefined) throw new RangeError('There is no server')
    const runner = new BenchRunner(servers, options, createWorkload(options, scale), scale.overheadTokens, progress, signal)
    progress.note('Warming up')
    await runner.warmUp()
    return await runner.run()
  } finally {
    for (const server of servers) server[Symbol.dispose]()
  }
}

function reportOf (runs: readonly BenchRun[], options: BenchOptions, command: string, machine: BenchReport['machine']): BenchReport {
  const runsOf = (label: string): readonly BenchRun[] => runs.filter(({ drawbridge }) => drawbridge.server === label)
  const [first, second] = options.servers
  const comparison = first === undefined || second === undefined ? null : compareRuns(runsOf(first.label), runsOf(second.label))
  return { drawbridge_bench: 1, command, machine, runs, saturation: saturationsOf(runs), comparison }
}

function publish (report: BenchReport, wanted: ReportFiles): void {
  process.stdout.write(`${withoutControls(terminalReport(report))}\n`)
  const files = writeReport(report, wanted)
  if (files.length > 0) process.stdout.write(`\nWritten: ${files.join(', ')}\n`)
}

/** As it was typed, without secrets. */
export function commandLine (argv: readonly string[]): string {
  const words = argv.map((word, index) => {
    const [flag = '', value] = word.split(/=(.*)/s)
    if (secretFlags.includes(flag) && value !== undefined) return `${flag}=…`
    return secretFlags.includes(argv[index - 1] ?? '') ? '…' : withoutQueryValues(word)
  })
  return ['drawbridge', 'bench', ...words.map((word) => /^(--[a-z-]+=)?[\w./:,=@%+…-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)].join(' ')
}
