/** Whether the server still takes work. Whoever ends it says so first, so that nobody is sent here any more. */
export class Lifecycle {
  readonly #listeners: (() => void)[] = []
  #isDraining = false
  #isHandingOver = false
  #leave: () => Promise<void> = async () => {}

  /** New requests are refused. */
  get isDraining (): boolean { return this.#isDraining }

  /** New connections are another process' now; what comes on those that are here is answered, and then they are closed. */
  get isHandingOver (): boolean { return this.#isHandingOver }

  /** @param listener is told once, when the one or the other begins; at once if that is over */
  onLeaving (listener: () => void): void {
    if (this.#isDraining || this.#isHandingOver) listener()
    else this.#listeners.push(listener)
  }

  startDraining (): void {
    this.#isDraining = true
    this.#tell()
  }

  /** Settles when the last connection has ended. */
  async handOver (): Promise<void> {
    this.#isHandingOver = true
    this.#tell()
    await this.#leave()
  }

  /** @param leave ends the listening, and settles when the last connection has ended */
  onHandOver (leave: () => Promise<void>): void {
    this.#leave = leave
  }

  #tell (): void {
    for (const listener of this.#listeners.splice(0)) listener()
  }
}
