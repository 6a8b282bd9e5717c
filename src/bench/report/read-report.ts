import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { StartupError } from '../../domain/startup-error.ts'
import type { BenchRun } from './bench-run.ts'
import { runSchema, runsSchema } from './report-schema.ts'

/**
 * Reads the runs of a report that `writeJson` wrote.
 * @throws StartupError when it is something else: names the file, and the field at fault.
 */
export function readRuns (file: string): readonly BenchRun[] {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new StartupError(`The report ${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  const fields = typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
  if (fields['drawbridge_bench'] !== 1) throw new StartupError(`${file} is no report of drawbridge bench, in which drawbridge_bench is 1 (--json writes them)`)
  const result = 'runs' in fields ? runsSchema.safeParse(fields) : runSchema.safeParse(fields)
  if (!result.success) throw new StartupError(`${file} is no whole report of drawbridge bench: ${describeIssue(result.error)}`, { cause: result.error })
  return 'runs' in result.data ? result.data.runs : [result.data]
}

/** The first one: the others often follow from it. */
function describeIssue ({ issues }: z.ZodError): string {
  const [issue] = issues
  if (issue === undefined) return 'it is not valid'
  const field = issue.path.map((part) => typeof part === 'number' ? `[${part}]` : `.${String(part)}`).join('').replace(/^\./, '')
  return `${field}: ${issue.message}`
}
