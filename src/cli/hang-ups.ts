export interface HangUps {
  /** Has them handled from now on, one after the other; several that came before, or while one is handled, are one. It says itself when it fails. */
  handle (run: () => Promise<void>): void
  /** Leaves the signal to Node again. */
  dispose (): void
}

interface SignalSource {
  on (signal: 'SIGHUP', listener: () => void): unknown
  off (signal: 'SIGHUP', listener: () => void): unknown
}

/** Listens to SIGHUP from the beginning on: a service that does not is ended by it. */
export function listenForHangUps (source: SignalSource = process): HangUps {
  let handler: (() => Promise<void>) | null = null
  let isDue = false
  let isBusy = false
  const work = (): void => {
    if (handler === null || isBusy || !isDue) return
    isDue = false
    isBusy = true
    const goOn = (): void => {
      isBusy = false
      work()
    }
    handler().then(goOn, goOn)
  }
  const hear = (): void => {
    isDue = true
    work()
  }
  source.on('SIGHUP', hear)
  return {
    handle (run) {
      handler = run
      work()
    },
    dispose: () => { source.off('SIGHUP', hear) }
  }
}
