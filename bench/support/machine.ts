import { execFileSync } from 'node:child_process'
import { describeMachine as describeAnyMachine, type Machine } from '../../src/bench/report/report-machine.ts'

/** Where and from what a report of this repository came. */
export interface RepositoryMachine extends Machine {
  /** Null outside a git checkout. */
  readonly commit: string | null
  /** Whether tracked files differed from the commit. */
  readonly isModified: boolean | null
}

function git (...args: string[]): string | null {
  try {
    return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return null
  }
}

export function describeMachine (): RepositoryMachine {
  const changes = git('status', '--porcelain', '--untracked-files=no')
  return {
    ...describeAnyMachine(),
    commit: git('rev-parse', '--short=12', 'HEAD'),
    isModified: changes === null ? null : changes !== ''
  }
}

/** One line for the head of a printed report. */
export function machineLine (machine: RepositoryMachine): string {
  const commit = machine.commit === null ? 'no commit' : `commit ${machine.commit}${machine.isModified === true ? ' (modified)' : ''}`
  return `${machine.date} · ${commit} · Node ${machine.node} · ${machine.platform} · ${machine.cores} × ${machine.cpu} · ` +
    `${Math.round(machine.memoryBytes / 2 ** 30)} GiB · load ${machine.loadAverage}`
}
