import { accessSync, closeSync, constants, existsSync, openSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { StartupError } from '../../domain/startup-error.ts'
import type { BenchReport } from './bench-run.ts'
import { jsonParts } from './json-parts.ts'

/**
 * Writes a report. One run is a flat object, as `vllm bench serve` writes it, with the rest of the report added; several are a
 * list of such objects under `runs`.
 * @throws StartupError when the file cannot be written.
 */
export function writeJson (file: string, report: BenchReport): void {
  const [only] = report.runs
  const { runs, ...rest } = report
  writeParts('--json', file, jsonParts(runs.length === 1 ? { ...only, ...rest } : report))
}

/**
 * Finds out before a long benchmark that its results could not be kept. A file that was not there is not there afterwards.
 * @throws StartupError that names the flag.
 */
export function checkWritable (flag: string, file: string | null): void {
  if (file === null) return
  try {
    if (!existsSync(file)) {
      closeSync(openSync(file, 'wx'))
      unlinkSync(file)
    } else if (statSync(file).isDirectory()) {
      throw new Error('it is a folder')
    } else {
      accessSync(file, constants.W_OK)
    }
  } catch (error) {
    throw notWritable(flag, file, error)
  }
}

/** @throws StartupError that names the flag. */
export function writeText (flag: string, file: string, text: string): void {
  writeParts(flag, file, [text])
}

function writeParts (flag: string, file: string, parts: Iterable<string>): void {
  try {
    const descriptor = openSync(file, 'w')
    try {
      for (const part of parts) writeAll(descriptor, Buffer.from(part))
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    throw notWritable(flag, file, error)
  }
}

/** A pipe may take less than it is given. */
function writeAll (descriptor: number, bytes: Buffer): void {
  for (let start = 0; start < bytes.length;) start += writeSync(descriptor, bytes, start)
}

function notWritable (flag: string, file: string, error: unknown): StartupError {
  return new StartupError(`${flag} ${file} cannot be written: ${(error as Error).message}`, { cause: error })
}
