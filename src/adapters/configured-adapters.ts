import type { AdapterConfig } from '../config/config.ts'
import { StartupError } from '../domain/startup-error.ts'
import type { ModelCatalogue } from '../models/catalogue.ts'
import type { AdapterLogger } from './adapter-entries.ts'
import { adapterNameAdvice, isAdapterName } from './adapter-name.ts'
import type { AdapterRegistry } from './adapter-registry.ts'
import { expandHome } from './expand-home.ts'
import { resolveReference } from './sources/fetch-adapter.ts'

export interface ConfiguredAdaptersOptions {
  readonly catalogue: ModelCatalogue
  readonly registryOf: (model: string) => AdapterRegistry | undefined
  /** Names a setting in messages. */
  readonly sourceOf: (flag: string) => string
  readonly logger: AdapterLogger
}

interface PlacedAdapter {
  readonly adapter: AdapterConfig
  readonly model: string
  readonly name: string
}

/** The adapters that the settings name. What the API or the folder brought is not theirs to change. */
export class ConfiguredAdapters {
  readonly #options: ConfiguredAdaptersOptions
  #placed: readonly PlacedAdapter[]
  #turn: Promise<void> = Promise.resolve()

  /** @throws StartupError when one of them cannot be placed */
  constructor (adapters: readonly AdapterConfig[], options: ConfiguredAdaptersOptions) {
    this.#options = options
    this.#placed = this.#place(adapters)
  }

  /** Settles when all of them are loaded. @throws StartupError when one cannot be */
  async start (signal: AbortSignal): Promise<void> {
    const loads = Promise.all(this.#placed.map(async (placed) => {
      try {
        await this.#load(placed, 'refuse', signal)
      } catch (error) {
        if (signal.aborted) return
        const { sourceOf } = this.#options
        throw new StartupError(`The adapter ${placed.name} (${sourceOf('adapter')}) could not be loaded: ${(error as Error).message}`, { cause: error })
      }
    })).then(() => {})
    // One that is taken away while it loads would otherwise fail the start.
    this.#turn = loads.catch(() => {})
    await loads
  }

  /** @throws StartupError when one of them cannot be placed */
  check (adapters: readonly AdapterConfig[]): void {
    this.#place(adapters)
  }

  /**
   * Loads those that are new or changed, and unloads those that are gone; running answers keep what they began with. One that cannot be
   * loaded is logged: what it had before serves on, and a later call tries again. Calls take turns.
   * @throws StartupError at once when one of them cannot be placed; then nothing has changed
   */
  async replace (adapters: readonly AdapterConfig[], signal: AbortSignal): Promise<void> {
    const wanted = this.#place(adapters)
    this.#turn = this.#turn.then(async () => await this.#change(wanted, signal))
    await this.#turn
  }

  async #change (wanted: readonly PlacedAdapter[], signal: AbortSignal): Promise<void> {
    const { registryOf, logger } = this.#options
    const before = new Map(this.#placed.map((placed) => [keyOf(placed), placed]))
    const failed = new Set<string>()
    const report = (details: object) => (error: unknown): void => {
      if (!signal.aborted) logger.warn({ ...details, error: (error as Error).message }, 'configured adapter stays as it was')
    }
    const isOurs = ({ model, name }: PlacedAdapter): boolean => registryOf(model)?.find(name)?.origin === 'option'

    const changes = wanted.flatMap((placed) => {
      const { model, name, adapter } = placed
      const status = registryOf(model)?.find(name) ?? null
      const old = before.get(keyOf(placed))
      if (status !== null && !isOurs(placed)) {
        if (old === undefined) logger.warn({ model, adapter: name, origin: status.origin }, 'configured adapter is there already, from elsewhere')
        return []
      }
      if (status !== null && old !== undefined && JSON.stringify(old.adapter) === JSON.stringify(adapter)) return []
      return [this.#load(placed, 'replace', signal).catch((error: unknown) => {
        failed.add(keyOf(placed))
        report({ model, adapter: name })(error)
      })]
    })
    const keys = new Set(wanted.map(keyOf))
    const removals = this.#placed.filter((placed) => !keys.has(keyOf(placed)) && isOurs(placed)).map(async ({ model, name }) =>
      await registryOf(model)?.unload(name).catch(report({ model, adapter: name })))
    await Promise.all([...changes, ...removals])
    // What failed is as it was before, so that the next call tries again.
    this.#placed = wanted.flatMap((placed) => failed.has(keyOf(placed)) ? before.get(keyOf(placed)) ?? [] : [placed])
  }

  async #load ({ model, adapter, name }: PlacedAdapter, ifExists: 'refuse' | 'replace', signal: AbortSignal): Promise<void> {
    await this.#options.registryOf(model)?.load({
      name,
      reference: resolveReference(expandHome(adapter.ref), null),
      origin: 'option',
      scale: adapter.scale,
      isPinned: adapter.pinned,
      systemPrompt: adapter.systemPrompt,
      chatTemplate: adapter.chatTemplate,
      ifExists,
      keepsFailure: false
    }, signal)
  }

  #place (adapters: readonly AdapterConfig[]): readonly PlacedAdapter[] {
    const { catalogue, sourceOf } = this.#options
    return adapters.map((adapter) => placeAdapter(adapter, catalogue, sourceOf('adapter')))
  }
}

const keyOf = ({ model, name }: PlacedAdapter): string => JSON.stringify([model, name])

/** Finds the model of a configured adapter. */
function placeAdapter (adapter: AdapterConfig, catalogue: ModelCatalogue, source: string): PlacedAdapter {
  const place = findPlace(adapter, catalogue)
  if (place === null) {
    const models = catalogue.hosts.map(({ id }) => `"${id}"`).join(', ')
    throw new StartupError(adapter.model === null
      ? `The adapter "${adapter.name}" (${source}) does not say for which model it is; write MODEL:${adapter.name} with one of ${models}`
      : `The adapter "${adapter.name}" (${source}) is for the model "${adapter.model}", but there are only ${models}`)
  }
  if (!isAdapterName(place.name)) throw new StartupError(`The adapter's name "${place.name}" (${source}) ${adapterNameAdvice}`)
  if (catalogue.find(place.name) !== null) throw new StartupError(`The adapter "${place.name}" (${source}) has the name of a model; give it another one`)
  return { adapter, ...place }
}

function findPlace ({ name, model }: AdapterConfig, catalogue: ModelCatalogue): { readonly model: string, readonly name: string } | null {
  const placeAt = (base: string, rest: string): { readonly model: string, readonly name: string } | null => {
    const host = catalogue.find(base)
    return host === null ? null : { model: host.id, name: rest }
  }
  if (model !== null) return placeAt(model, name)
  for (let colon = name.indexOf(':'); colon !== -1; colon = name.indexOf(':', colon + 1)) {
    const place = placeAt(name.slice(0, colon), name.slice(colon + 1))
    if (place !== null) return place
  }
  const [only, second] = catalogue.hosts
  return only !== undefined && second === undefined ? { model: only.id, name } : null
}
