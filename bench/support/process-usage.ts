import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What a process has used since it started. */
export interface ProcessUsage {
  /** User and system time of all its threads, without its children. */
  readonly cpuSeconds: number
  readonly residentBytes: number
}

let ticksPerSecond: number | null = null

/** The unit of /proc/PID/stat: 100 nearly everywhere, so times are exact to 10 ms. */
function clockTicks (): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  return ticksPerSecond
}

/**
 * Reads /proc, so Linux only.
 * @returns null where there is no /proc or no such process.
 */
export function readUsage (pid: number): ProcessUsage | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name, in brackets, may hold anything; the fields after it are numbers. Field 3 comes first.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / clockTicks()
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return { cpuSeconds, residentBytes: Number(resident?.[1] ?? 0) * 1024 }
  } catch {
    return null
  }
}

/** Process ids of a process' children, and theirs. */
export function descendantsOf (pid: number): readonly number[] {
  let children: readonly number[]
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
  return children.flatMap((child) => [child, ...descendantsOf(child)])
}

/** Usage summed over several processes; those that are gone count nothing. */
export function sumUsage (pids: readonly number[]): ProcessUsage {
  let cpuSeconds = 0
  let residentBytes = 0
  for (const pid of pids) {
    const usage = readUsage(pid)
    cpuSeconds += usage?.cpuSeconds ?? 0
    residentBytes += usage?.residentBytes ?? 0
  }
  return { cpuSeconds, residentBytes }
}
