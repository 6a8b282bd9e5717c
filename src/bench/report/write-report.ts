import { StartupError } from '../../domain/startup-error.ts'
import type { BenchReport } from './bench-run.ts'
import { htmlReport } from './html/html-report.ts'
import { writeJson, writeText } from './report-file.ts'

export interface ReportFiles {
  readonly jsonFile: string | null
  readonly htmlFile: string | null
}

/**
 * Writes a report to the files that were asked for; when one cannot be written, the other is all the same.
 * @returns the files that were written.
 * @throws StartupError that names those that were not.
 */
export function writeReport (report: BenchReport, { jsonFile, htmlFile }: ReportFiles): readonly string[] {
  const written: string[] = []
  const failures: StartupError[] = []
  const write = (file: string | null, to: (file: string) => void): void => {
    if (file === null) return
    try {
      to(file)
      written.push(file)
    } catch (error) {
      if (!(error instanceof StartupError)) throw error
      failures.push(error)
    }
  }
  write(jsonFile, (file) => writeJson(file, report))
  write(htmlFile, (file) => writeText('--html', file, htmlReport(report)))
  if (failures.length === 0) return written
  const rest = written.length === 0 ? '' : `; written: ${written.join(', ')}`
  throw new StartupError(`${failures.map(({ message }) => message).join('; ')}${rest}`, { cause: failures[0] })
}
