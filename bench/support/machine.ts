import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

/** Where and from what a report came. Nothing in it names the host or its user. */
export interface Machine {
  /** ISO 8601, in UTC. */
  readonly date: string
  /** Null outside a git checkout. */
  readonly commit: string | null
  /** Whether tracked files differed from the commit. */
  readonly isModified: boolean | null
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  /** Runnable processes, averaged over the minute before the start: other people's work on the same cores. */
  readonly loadAverage: number
}

function git (...args: string[]): string | null {
  try {
    return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}

export function describeMachine (): Machine {
  const changes = git('status', '--porcelain', '--untracked-files=no')
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', '--short=12', 'HEAD'),
    isModified: changes === null ? null : changes !== '',
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2))
  }
}

/** One line for the head of a printed report. */
export function machineLine (machine: Machine): string {
  const commit = machine.commit === null ? 'no commit' : `commit ${machine.commit}${machine.isModified === true ? ' (modified)' : ''}`
  return `${machine.date} · ${commit} · Node ${machine.node} · ${machine.platform} · ${machine.cores} × ${machine.cpu} · ` +
    `${Math.round(machine.memoryBytes / 2 ** 30)} GiB · load ${machine.loadAverage}`
}
