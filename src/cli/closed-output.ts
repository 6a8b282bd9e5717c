/**
 * `drawbridge --help | head` has closed its end before everything is written: that is no error to tell of, and the command goes on to
 * its end and its own exit code. Anything else that keeps it from writing, such as a full disk, ends it with 1.
 */
export function allowClosedOutput (): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => { if (error.code !== 'EPIPE') process.exit(1) })
  }
}
