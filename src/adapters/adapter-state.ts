import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { StartupError } from '../domain/startup-error.ts'
import { fileErrorText } from '../domain/file-error-text.ts'

const stateSchema = z.object({
  version: z.literal(1),
  /** What the API has loaded. */
  adapters: z.array(z.object({
    model: z.string(),
    name: z.string(),
    reference: z.string(),
    scale: z.number(),
    pinned: z.boolean()
  })),
  /** What is in the watched folder, but was unloaded, and stays so until its file changes. */
  unloaded: z.array(z.object({ model: z.string(), name: z.string(), fingerprint: z.string() }))
})

/** What has to outlive the server. */
export type AdapterState = Readonly<Omit<z.infer<typeof stateSchema>, 'version'>>

/** @throws StartupError when there is a file that cannot be read: starting without what it says would forget it */
export function readAdapterState (file: string): AdapterState {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { adapters: [], unloaded: [] }
    throw new StartupError(`The adapter state ${file} cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
  try {
    return stateSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new StartupError(`The adapter state ${file} is damaged; repair it, or remove it to forget what the API had loaded`, { cause: error })
  }
}

/** Writes states one after the other; of those that come in meanwhile only the last. A reader sees the old file or the new one. */
export class AdapterStateWriter {
  readonly #file: string
  readonly #onError: (error: Error) => void
  #wanted: AdapterState | null = null
  #writing: Promise<void> | null = null
  #written = ''

  constructor (file: string, onError: (error: Error) => void) {
    this.#file = file
    this.#onError = onError
  }

  write (state: AdapterState): void {
    this.#wanted = state
    this.#writing ??= this.#drain().finally(() => { this.#writing = null })
  }

  /** Settles when all is written. */
  async settle (): Promise<void> {
    await this.#writing
  }

  async #drain (): Promise<void> {
    while (this.#wanted !== null) {
      const text = `${JSON.stringify({ version: 1, ...this.#wanted }, null, 2)}\n`
      this.#wanted = null
      if (text === this.#written) continue
      const draft = `${this.#file}.${process.pid}.tmp`
      try {
        await writeFile(draft, text, { mode: 0o600 })
        await rename(draft, this.#file)
        this.#written = text
      } catch (error) {
        this.#onError(error as Error)
      }
    }
  }
}
