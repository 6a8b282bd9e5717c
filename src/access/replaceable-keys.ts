import type { KeyOwner, StaticKeys } from './static-keys.ts'

/** Keys of the settings that can change while the server runs. Whoever is in stays until the request ends. */
export class ReplaceableKeys implements StaticKeys {
  #current: StaticKeys

  constructor (first: StaticKeys) {
    this.#current = first
  }

  get owners (): readonly KeyOwner[] { return this.#current.owners }

  get count (): number { return this.#current.count }

  replace (next: StaticKeys): void {
    this.#current = next
  }

  find (key: string): KeyOwner | null {
    return this.#current.find(key)
  }

  findOwner (name: string): KeyOwner | null {
    return this.#current.findOwner(name)
  }
}
