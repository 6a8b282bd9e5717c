/** Wakes whoever waits for something to have changed; they look for themselves whether it was what they wait for. */
export class Changes {
  readonly #waiting = new Set<() => void>()

  notify (): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Settles at the next change. @throws Error when the signal fires first */
  async next (signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new Error('Nobody waits for a change any more', { cause: signal.reason })
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', abort)
      }
      const wake = (): void => {
        end()
        resolve()
      }
      const abort = (): void => {
        end()
        reject(new Error('Nobody waits for a change any more', { cause: signal.reason }))
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}
