import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { StartupError } from '../../domain/startup-error.ts'
import type { BenchReport, BenchRun } from './bench-run.ts'

/**
 * Writes a report. One run is a flat object, as `vllm bench serve` writes it, with the rest of the report added; several are a
 * list of such objects under `runs`.
 * @throws StartupError when the file cannot be written.
 */
export function writeJson (file: string, report: BenchReport): void {
  const [only] = report.runs
  const { runs, ...rest } = report
  writeText('--json', file, `${JSON.stringify(runs.length === 1 ? { ...only, ...rest } : report)}\n`)
}

/**
 * Finds out before a long benchmark that its results could not be kept.
 * @throws StartupError that names the flag.
 */
export function checkWritable (flag: string, file: string | null): void {
  if (file === null) return
  try {
    accessSync(existsSync(file) ? file : dirname(file), constants.W_OK)
  } catch (error) {
    throw new StartupError(`${flag} ${file} cannot be written: ${(error as Error).message}`, { cause: error })
  }
}

/** @throws StartupError that names the flag. */
export function writeText (flag: string, file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (error) {
    throw new StartupError(`${flag} ${file} cannot be written: ${(error as Error).message}`, { cause: error })
  }
}

/**
 * Reads what `writeJson` wrote.
 * @throws StartupError when it is something else.
 */
export function readJson (file: string): BenchReport {
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
