const longestRunMs = 30 * 60_000

/**
 * Runs a benchmark from the command line: errors are one line and exit code 1; Ctrl+C, and half an hour, end the run and,
 * through its signal, all the processes that it started.
 */
export async function runBenchmark (run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController()
  const interrupt = (name: NodeJS.Signals): void => controller.abort(new Error(`Stopped by ${name}`))
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const name of signals) process.on(name, interrupt)
  // Node 20 collects an `AbortSignal.timeout` that nothing but an `AbortSignal.any` holds.
  const timeout = setTimeout(() => controller.abort(new Error(`Stopped after ${longestRunMs / 60_000} minutes`)), longestRunMs)
  try {
    await run(controller.signal)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  } finally {
    clearTimeout(timeout)
    for (const name of signals) process.removeListener(name, interrupt)
  }
}
