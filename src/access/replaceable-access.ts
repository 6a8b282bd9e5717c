import type { Caller } from './caller.ts'
import type { Access, Credentials } from './static-keys.ts'

/** Access whose keys can change while the server runs. Whoever is in stays until the request ends. */
export class ReplaceableAccess implements Access {
  #current: Access

  constructor (first: Access) {
    this.#current = first
  }

  get adminAdvice (): string { return this.#current.adminAdvice }

  replace (next: Access): void {
    this.#current = next
  }

  identify (credentials: Credentials): Caller {
    return this.#current.identify(credentials)
  }
}
