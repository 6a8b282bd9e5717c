import type { Logger } from 'pino'
import type { LogOutput } from '../telemetry/log-output.ts'

/** For the log's last line to be written. */
const lastLineMs = 1000

/** What nobody caught may have left anything half done. Engine processes end with this one. */
export function dieOfUncaughtErrors (logger: Logger, output: LogOutput): void {
  const die = (error: unknown): void => {
    logger.fatal({ err: error }, 'uncaught error')
    output.settle(lastLineMs).then(() => process.exit(1), () => process.exit(1))
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}
