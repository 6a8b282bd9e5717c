import { stateOfKey } from './api-key.ts'
import { KeyStore } from './key-store.ts'
import type { Database } from '../storage/database.ts'

/** How many keys of the database are in use; at least 1 where there have ever been any, since everybody needs one then. */
export class StoredKeyCount {
  readonly #store: Pick<KeyStore, 'hasAny' | 'list'> | null
  #count = 0

  /** @param database null where there is none */
  constructor (database: Database | null) {
    this.#store = database === null ? null : new KeyStore(database)
  }

  /** As of the last update. */
  get count (): number { return this.#count }

  async update (): Promise<void> {
    if (this.#store === null || !await this.#store.hasAny()) return
    const keys = await this.#store.list()
    this.#count = Math.max(1, keys.filter((key) => stateOfKey(key, Date.now()) === 'active').length)
  }
}
