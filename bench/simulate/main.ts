import { EventLog } from './event-log.ts'
import { helpText, parseCommandLine, UsageError } from './options.ts'
import { formatReport } from './report.ts'
import { simulate } from './simulation.ts'

/** @returns the exit code */
function main (parameters: readonly string[]): number {
  let commandLine
  try {
    commandLine = parseCommandLine(parameters)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`simulate: ${error.message}\nTry --help.`)
    return 2
  }
  if (commandLine === null) {
    console.log(helpText())
    return 0
  }
  const { simulation, logPath, costNote } = commandLine
  let log
  try {
    log = new EventLog(logPath)
  } catch (error) {
    console.error(`simulate: --log ${logPath} cannot be written: ${(error as Error).message}`)
    return 2
  }
  const startedAt = performance.now()
  try {
    const result = simulate(simulation, log)
    const seconds = (performance.now() - startedAt) / 1000
    const { user, system } = process.cpuUsage()
    console.log(formatReport(simulation, result))
    if (costNote !== null) console.log(`costs          ${costNote}`)
    console.log(`laws           held on all ${result.snapshot.steps.toLocaleString('en-US')} plans`)
    console.log(`event log      ${log.lines.toLocaleString('en-US')} lines, sha256 ${log.digest()}`)
    console.log(`took           ${seconds.toFixed(1)} s, of CPU time ${((user + system) / 1e6).toFixed(1)} s`)
    return 0
  } catch (error) {
    // A law that does not hold is what the simulator is for: the same flags lead to the same plan again.
    console.error(`simulate: ${(error as Error).message}\nafter ${log.lines} lines of the event log; --log FILE keeps them`)
    return 1
  } finally {
    log[Symbol.dispose]()
  }
}

process.exitCode = main(process.argv.slice(2))
