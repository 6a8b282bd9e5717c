import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Tells systemd, where it wants to know (`Type=notify`), that the server is ready. Node has no sockets of the kind that it listens on, so
 * its own program does it.
 */
export async function notifyServiceManager (environment: NodeJS.ProcessEnv, logger: { warn (details: object, message: string): void }): Promise<void> {
  if (environment['NOTIFY_SOCKET'] === undefined) return
  try {
    await promisify(execFile)('systemd-notify', ['--ready'], { timeout: 10_000 })
  } catch (error) {
    logger.warn({ reason: (error as Error).message }, 'systemd could not be told that the server is ready')
  }
}
