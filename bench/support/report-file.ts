import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { RepositoryMachine } from './machine.ts'

/**
 * Writes a report as JSON to `bench/reports/NAME-DATE-COMMIT.json`, from wherever the benchmark was started.
 * @returns the file's path.
 */
export function saveReport (name: string, machine: RepositoryMachine, report: object): string {
  // This file runs as dist/bench/support/report-file.js.
  const folder = path.resolve(import.meta.dirname, '../../../bench/reports')
  mkdirSync(folder, { recursive: true })
  const file = path.join(folder, `${name}-${machine.date.slice(0, 10)}-${machine.commit?.slice(0, 7) ?? 'no-commit'}.json`)
  writeFileSync(file, `${JSON.stringify({ machine, ...report }, null, 2)}\n`)
  return file
}
