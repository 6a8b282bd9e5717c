import { type FSWatcher, watch } from 'node:fs'
import { isAdapterName, adapterNameAdvice } from './adapter-name.ts'
import type { AdapterLogger, AdapterRegistry } from './adapter-registry.ts'
import { type FoundAdapter, scanAdapterFolder } from './scan-adapter-folder.ts'

export interface AdapterFolderOptions {
  readonly path: string
  readonly registry: AdapterRegistry
  readonly logger: AdapterLogger
  /** Whether it is no folder of the user's that has to be there: it may come later. */
  readonly mayBeMissing: boolean
  /** Names that adapters cannot have: those of models. */
  readonly isTaken: (name: string) => boolean
  /** By name: the fingerprints of what was unloaded, and stays so until it changes. */
  readonly unloaded: ReadonlyMap<string, string>
  /** What is unloaded may have changed. */
  readonly onChange: () => void
  /** Milliseconds since 1970, as files have them. */
  readonly wallClock?: () => number
}

/** What has not changed for this long is whole, as far as one can tell. */
const settledMs = 2000
/** Between two looks at a file that may still be written. */
const settleIntervalMs = 300
/** Watching misses what happens in subfolders, and on file systems of other machines. */
const rescanIntervalMs = 2000
/** Many changes come together. */
const wakeDelayMs = 50

interface SeenAdapter {
  readonly fingerprint: string
  /** When it was first seen like this. */
  readonly since: number
  /** Whether it was loaded or refused; it is not looked at again until it changes. */
  isHandled: boolean
}

/** Keeps a registry's adapters as the files in a folder are. */
export class AdapterFolder {
  readonly #options: AdapterFolderOptions
  readonly #seen = new Map<string, SeenAdapter>()
  readonly #closing = new AbortController()
  #watcher: FSWatcher | null = null
  #timer: NodeJS.Timeout | null = null
  #lastScan: Promise<void> = Promise.resolve()
  /** So that each problem is told once. */
  #problem = ''
  #hasUnsettled = false
  #isWoken = false

  constructor (options: AdapterFolderOptions) {
    this.#options = options
    for (const [name, fingerprint] of options.unloaded) this.#seen.set(name, { fingerprint, since: 0, isHandled: true })
  }

  /** Looks once, then watches. When it settles, adapters that are there are on their way. */
  async start (): Promise<void> {
    await this.rescan()
    this.#watch()
    this.#schedule()
  }

  get model (): string { return this.#options.registry.model }

  /** What is in the folder and was unloaded all the same. */
  get unloaded (): readonly { readonly name: string, readonly fingerprint: string }[] {
    return [...this.#seen].flatMap(([name, { fingerprint, isHandled }]) =>
      isHandled && isAdapterName(name) && this.#options.registry.find(name) === null ? [{ name, fingerprint }] : [])
  }

  async close (): Promise<void> {
    this.#closing.abort()
    this.#watcher?.close()
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#lastScan
  }

  /** Looks at the folder now. */
  async rescan (): Promise<void> {
    this.#lastScan = this.#lastScan.then(async () => await this.#scan())
    await this.#lastScan
  }

  async #scan (): Promise<void> {
    if (this.#closing.signal.aborted) return
    let found: readonly FoundAdapter[]
    try {
      found = await scanAdapterFolder(this.#options.path)
      this.#problem = ''
    } catch (error) {
      // A disk that is away for a moment must not take the adapters with it.
      this.#tell(error as NodeJS.ErrnoException)
      return
    }
    const now = (this.#options.wallClock ?? Date.now)()
    this.#hasUnsettled = false
    for (const adapter of found) {
      const known = this.#seen.get(adapter.name)
      const isSame = known?.fingerprint === adapter.fingerprint
      if (isSame && known.isHandled) continue
      const since = isSame ? known.since : now
      const isSettled = now - since >= settleIntervalMs || adapter.changedAt <= now - settledMs
      this.#seen.set(adapter.name, { fingerprint: adapter.fingerprint, since, isHandled: isSettled })
      if (isSettled) this.#load(adapter)
      else this.#hasUnsettled = true
    }
    const names = new Set(found.map(({ name }) => name))
    for (const name of [...this.#seen.keys()]) if (!names.has(name)) this.#remove(name)
  }

  /** Loads go on beside the watching. The registry logs what comes of them, and keeps why one failed. */
  #load ({ name, path }: FoundAdapter): void {
    const { registry, logger, isTaken } = this.#options
    const known = registry.find(name)
    const problem = !isAdapterName(name)
      ? `its name ${adapterNameAdvice}`
      : isTaken(name)
        ? 'a model has its name'
        : known !== null && known.origin !== 'directory' ? `there is one of its name already, from ${known.reference}` : null
    if (problem !== null) {
      logger.warn({ model: registry.model, adapter: name, path, reason: problem }, 'adapter in the folder is left out')
      return
    }
    registry.load({
      name,
      reference: path,
      origin: 'directory',
      scale: known?.scale ?? 1,
      isPinned: known?.isPinned ?? false,
      systemPrompt: null,
      chatTemplate: null,
      ifExists: 'replace',
      keepsFailure: true
    }, this.#closing.signal).then(this.#options.onChange, () => {})
  }

  #remove (name: string): void {
    const { registry, onChange } = this.#options
    this.#seen.delete(name)
    if (registry.find(name)?.origin === 'directory') registry.unload(name).catch(() => {})
    onChange()
  }

  #watch (): void {
    try {
      this.#watcher = watch(this.#options.path, { persistent: false }, () => this.#wake())
      // Watching is only the quicker way to know.
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      this.#watcher = null
    }
  }

  /** Somebody who writes without a pause must not put off the next look. */
  #wake (): void {
    if (this.#isWoken) return
    this.#isWoken = true
    this.#schedule(wakeDelayMs)
  }

  #schedule (delayMs = this.#hasUnsettled ? settleIntervalMs : rescanIntervalMs): void {
    if (this.#closing.signal.aborted) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#isWoken = false
      this.rescan().finally(() => { if (!this.#isWoken) this.#schedule() }).catch(() => {})
    }, delayMs).unref()
  }

  #tell (error: NodeJS.ErrnoException): void {
    if (this.#problem === error.message) return
    this.#problem = error.message
    if (error.code === 'ENOENT' && this.#options.mayBeMissing) return
    this.#options.logger.warn({ model: this.#options.registry.model, path: this.#options.path, error: error.message }, 'adapter folder cannot be read')
  }
}
