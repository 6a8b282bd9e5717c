import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'

const flushLength = 1 << 16

/**
 * Everything that happened, one line each, as a hash and, if wanted, a file. Two runs are the same when their hashes are;
 * `diff` of two files shows where they part.
 */
export class EventLog implements Disposable {
  readonly #hash = createHash('sha256')
  readonly #file: number | null
  #buffer = ''
  #lines = 0

  /** @throws what opening the file throws */
  constructor (path: string | null = null) {
    this.#file = path === null ? null : openSync(path, 'w')
  }

  get lines (): number { return this.#lines }

  /** @param line without its newline */
  write (line: string): void {
    this.#buffer += line + '\n'
    this.#lines++
    if (this.#buffer.length >= flushLength) this.#flush()
  }

  /** The hash of all lines so far, in hexadecimal digits. */
  digest (): string {
    this.#flush()
    return this.#hash.copy().digest('hex')
  }

  [Symbol.dispose] (): void {
    this.#flush()
    if (this.#file !== null) closeSync(this.#file)
  }

  #flush (): void {
    this.#hash.update(this.#buffer)
    if (this.#file !== null) writeSync(this.#file, this.#buffer)
    this.#buffer = ''
  }
}
