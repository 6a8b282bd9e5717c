/** `drawbridge --help | head` has closed its end before everything is written: that is no error to tell of. */
export function allowClosedOutput (): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
}
