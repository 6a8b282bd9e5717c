import { readFileSync } from 'node:fs'
import { StartupError } from '../../domain/startup-error.ts'
import type { BenchReport, BenchRun } from './bench-run.ts'

/**
 * Reads what `writeJson` wrote.
 * @throws StartupError when it is something else.
 */
export function readReport (file: string): BenchReport {
  let value: Partial<BenchReport> | null
  try {
    value = JSON.parse(readFileSync(file, 'utf8')) as Partial<BenchReport> | null
  } catch (error) {
    throw new StartupError(`The report ${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  if (value?.drawbridge_bench !== 1) throw new StartupError(`${file} is no report of drawbridge bench (--json writes them)`)
  if (Array.isArray(value.runs)) return value as BenchReport
  const { drawbridge_bench: version, command = '', machine, saturation = [], comparison = null, ...run } = value as BenchReport & BenchRun
  return { drawbridge_bench: version, command, machine, saturation, comparison, runs: [run] }
}
