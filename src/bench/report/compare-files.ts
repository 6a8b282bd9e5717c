import path from 'node:path'
import { StartupError } from '../../domain/startup-error.ts'
import type { BenchReport, BenchRun } from './bench-run.ts'
import { compareRuns } from './compare.ts'
import { readRuns } from './read-report.ts'
import { saturationsOf } from './saturation.ts'

/**
 * Compares the reports of two files, such as those of one server before and after a change.
 * @throws StartupError when one cannot be read, has runs of several servers, or has no load in common with the other.
 */
export function compareFiles (files: readonly [string, string], command: string, machine: BenchReport['machine']): BenchReport {
  const [a, b] = files.map((file) => ({ file, runs: wholeRunsOf(file) })) as [FileRuns, FileRuns]
  const names = a.runs[0]?.drawbridge.server === b.runs[0]?.drawbridge.server ? namesOf(files) : null
  const runsOfA = names === null ? a.runs : renamed(a.runs, names[0])
  const runsOfB = names === null ? b.runs : renamed(b.runs, names[1])
  const comparison = { ...compareRuns(runsOfA, runsOfB), differences: differencesOf(a, b) }
  if (comparison.loads.length === 0) throw new StartupError(`${a.file} and ${b.file} have no load in common`)
  const runs = [...runsOfA, ...runsOfB]
  return { drawbridge_bench: 1, command, machine, runs, saturation: saturationsOf(runs), comparison }
}

interface FileRuns {
  readonly file: string
  readonly runs: readonly BenchRun[]
}

/** A report of two servers cannot be half of a comparison, nor can what was interrupted. */
function wholeRunsOf (file: string): readonly BenchRun[] {
  const runs = readRuns(file)
  const servers = new Set(runs.map(({ drawbridge }) => drawbridge.server))
  if (servers.size !== 1) throw new StartupError(`${file} has runs of ${servers.size} servers; --compare takes reports of one`)
  const whole = runs.filter(({ drawbridge }) => !drawbridge.was_interrupted)
  if (whole.length === 0) throw new StartupError(`${file} has no run that was not interrupted`)
  return whole
}

/** One server, twice: runs are told apart by their files. */
function namesOf ([a, b]: readonly [string, string]): readonly [string, string] {
  return path.resolve(a) === path.resolve(b) ? [`A (${a})`, `B (${b})`] : [a, b]
}

function renamed (runs: readonly BenchRun[], server: string): readonly BenchRun[] {
  return runs.map((run) => ({ ...run, drawbridge: { ...run.drawbridge, server } }))
}

const circumstances: readonly { readonly noun: string, readonly of: (run: BenchRun) => string }[] = [
  { noun: 'workload', of: ({ drawbridge }) => drawbridge.workload },
  { noun: 'seed', of: ({ drawbridge }) => String(drawbridge.seed) },
  { noun: 'model', of: (run) => run.model_id },
  { noun: 'endpoint', of: (run) => run.endpoint_type },
  { noun: 'streaming', of: ({ drawbridge }) => drawbridge.is_streaming ? 'on' : 'off' }
]

/** What else than the server may be why the two differ. */
function differencesOf (a: FileRuns, b: FileRuns): readonly string[] {
  return circumstances.flatMap(({ noun, of }) => {
    const [ofA, ofB] = [a, b].map(({ runs }) => [...new Set(runs.map(of))].join(' and '))
    return ofA === ofB ? [] : [`The ${noun} differs: ${ofA} in ${a.file}, ${ofB} in ${b.file}`]
  })
}
