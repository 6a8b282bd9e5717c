const longestRunMs = 30 * 60_000

/**
 * Runs a benchmark from the command line: errors are one line and exit code 1; Ctrl+C, and half an hour, end the run and,
 * through its signal, all the processes that it started.
 */
export async function runBenchmark (run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interruption = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => interruption.abort(new Error(`Stopped by ${name}`)))
  }
  try {
    await run(AbortSignal.any([interruption.signal, AbortSignal.timeout(longestRunMs)]))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
