import { StartupError } from '../domain/startup-error.ts'

/** Runs work that Ctrl+C calls off, so that it can put its temporary files away. A second Ctrl+C ends the process. */
export async function untilInterrupted<Result> (work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController()
  const interrupt = (): void => { controller.abort(new StartupError('Interrupted')) }
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of names) process.once(name, interrupt)
  try {
    return await work(controller.signal)
  } finally {
    for (const name of names) process.off(name, interrupt)
  }
}
