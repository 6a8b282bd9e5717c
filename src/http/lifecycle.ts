/** Whether the server still takes work. Whoever ends it says so first, so that nobody is sent here any more. */
export class Lifecycle {
  #isDraining = false

  get isDraining (): boolean { return this.#isDraining }

  startDraining (): void {
    this.#isDraining = true
  }
}
