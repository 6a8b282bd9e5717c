import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FileStore } from './file-store.ts'
import type { FileOwner } from './stored-file.ts'

/** Characters of a piece, at least: one write of the database, during which no stream goes on where it is SQLite. */
const pieceLength = 128 * 1024

/** Writes a file piece by piece. */
export class FileWriter {
  readonly #files: FileStore
  readonly #owner: FileOwner
  readonly #isLimited: boolean
  #id: string | null = null
  #place = 0
  #pending: string[] = []
  #pendingLength = 0

  /** @param isLimited whether it counts to the owner's quota while it is written, and may fail for it */
  constructor (files: FileStore, owner: FileOwner, isLimited: boolean) {
    this.#files = files
    this.#owner = owner
    this.#isLimited = isLimited
  }

  /** @throws ServerError `storage_quota_exceeded`, `storage_unavailable` */
  async write (text: string): Promise<void> {
    this.#pending.push(text)
    this.#pendingLength += text.length
    if (this.#pendingLength >= pieceLength) await this.#flush()
  }

  /** @returns the id of the file, for it to be published */
  async end (): Promise<string> {
    if (this.#pendingLength > 0) await this.#flush()
    return await this.#open()
  }

  /** Takes back what was written. */
  async discard (): Promise<void> {
    if (this.#id !== null) await this.#files.discard(this.#id)
  }

  async #open (): Promise<string> {
    this.#id ??= await this.#files.begin(this.#owner)
    return this.#id
  }

  async #flush (): Promise<void> {
    const text = this.#pending.join('')
    this.#pending = []
    this.#pendingLength = 0
    await this.#files.append(await this.#open(), this.#place++, text, this.#isLimited ? this.#owner.owner : null)
    // A driver that answers at once gives no other turn to anybody.
    await nextTurn()
  }
}
