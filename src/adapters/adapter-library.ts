import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import type { ModelCatalogue } from '../models/catalogue.ts'
import type { ModelHost } from '../models/model-host.ts'
import { checkAdapterName } from './adapter-name.ts'
import type { AdapterLease, AdapterPick, AdapterRegistry } from './adapter-registry.ts'
import type { AdapterStatus } from './adapter-status.ts'
import { modelNotFound } from './model-not-found.ts'
import { baseAdapterSet } from '../domain/adapter-set.ts'

/** An adapter that a request's `lora` names, by its name or its number. */
export interface AdapterChoice {
  readonly name?: string | undefined
  readonly id?: number | undefined
  /** Undefined is the adapter's own. */
  readonly scale?: number | undefined
}

/** What a request's `model` and `lora` mean: who answers, and with which adapters. */
export interface SelectedModel {
  readonly host: ModelHost
  readonly picks: readonly AdapterPick[]
  /** Of the adapter that `model` names; null where it names a base model. */
  readonly systemPrompt: string | null
  readonly chatTemplate: string | null
  /** Holds the adapters for a request; see `AdapterRegistry.acquire`. */
  readonly acquire: (timeoutMs: Millis, signal: AbortSignal) => Promise<AdapterLease>
}

/** What the API asks to be loaded. */
export interface AdapterOrder {
  readonly name: string
  readonly reference: string
  /** The base model; undefined where the server has only one. */
  readonly model?: string | undefined
  readonly scale?: number | undefined
  readonly isPinned?: boolean | undefined
  readonly ifExists: 'refuse' | 'replace'
  readonly expectedGeneration?: number | undefined
}

export interface AdapterLibraryOptions {
  readonly catalogue: ModelCatalogue
  readonly registries: readonly AdapterRegistry[]
  /** Makes an absolute path of a relative one. */
  readonly resolveReference: (reference: string) => string
  /** Called after each load and unload that the API asked for. */
  readonly onChange?: () => void
}

/** The adapters of all models: what a request's names mean, and what the API does to them. */
export class AdapterLibrary {
  readonly registries: readonly AdapterRegistry[]
  readonly #options: AdapterLibraryOptions

  constructor (options: AdapterLibraryOptions) {
    this.#options = options
    this.registries = options.registries
  }

  /** By their numbers; those that are leaving too. */
  list (): readonly AdapterStatus[] {
    return this.registries.flatMap((registry) => registry.list()).sort((a, b) => a.id - b.id)
  }

  /**
   * @param name a model's name; an adapter's, where only one model has one of that name; or `base:adapter` or `base::adapter`
   * @throws ServerError `model_not_found` for anything else, naming what there is
   */
  select (name: string, choices: readonly AdapterChoice[] = []): SelectedModel {
    const { host, adapter } = this.#find(name)
    const picks = new Map<string, AdapterPick>(adapter === null ? [] : [[adapter.name, { name: adapter.name, scale: null }]])
    const seen = new Set<string>()
    for (const [index, choice] of choices.entries()) {
      const { name: chosen } = this.#findChoice(host, choice, index)
      if (seen.has(chosen)) throw new ServerError('invalid_value', `Invalid value for 'lora[${index}]': the adapter "${chosen}" is named twice`, { param: `lora[${index}]` })
      seen.add(chosen)
      picks.set(chosen, { name: chosen, scale: choice.scale ?? null })
    }
    const registry = this.#registryOf(host)
    return {
      host,
      picks: [...picks.values()],
      systemPrompt: adapter?.systemPrompt ?? null,
      chatTemplate: adapter?.chatTemplate ?? null,
      acquire: async (timeoutMs, signal) => registry === undefined || picks.size === 0
        ? { adapters: baseAdapterSet, release: () => {} }
        : await registry.acquire([...picks.values()], timeoutMs, signal)
    }
  }

  /** The name by which an adapter is asked for: its own, or `base:adapter` where another model has one of that name. */
  idOf ({ model, name }: Pick<AdapterStatus, 'model' | 'name'>): string {
    const isTaken = this.registries.some((registry) => registry.model !== model && registry.find(name) !== null)
    return isTaken ? `${model}:${name}` : name
  }

  /**
   * @param name as in {@link select}
   * @throws ServerError `adapter_not_found`
   */
  find (name: string, model?: string): AdapterStatus {
    const adapter = model === undefined ? this.#findAdapter(name) : this.#registryNamed(model).find(name)
    if (adapter !== null) return adapter
    // Whoever has unloaded it may want to see it go.
    const leaving = this.list().find((status) => status.name === name && (model === undefined || status.model === model))
    if (leaving !== undefined) return leaving
    throw new ServerError('adapter_not_found', `There is no adapter "${name}"${this.#adapterNames()}`)
  }

  /** @throws ServerError `invalid_value`, and what `AdapterRegistry.load` throws */
  async load (order: AdapterOrder, signal: AbortSignal): Promise<AdapterStatus> {
    const { catalogue, resolveReference, onChange } = this.#options
    const { name, ifExists, expectedGeneration } = order
    checkAdapterName(name, 'name')
    if (catalogue.find(name) !== null) throw new ServerError('adapter_conflict', `A model is called "${name}"; give the adapter another name`, { param: 'name' })
    const registry = this.#registryNamed(order.model)
    const known = registry.find(name)
    const reference = resolveReference(order.reference)
    const status = await registry.load({
      name,
      reference,
      // What the folder brought and is only loaded again stays the folder's.
      origin: known?.origin === 'directory' && known.reference === reference ? 'directory' : 'api',
      scale: order.scale ?? known?.scale ?? 1,
      isPinned: order.isPinned ?? known?.isPinned ?? false,
      systemPrompt: known?.systemPrompt ?? null,
      chatTemplate: known?.chatTemplate ?? null,
      ifExists,
      keepsFailure: false,
      ...(expectedGeneration === undefined ? {} : { expectedGeneration })
    }, signal)
    onChange?.()
    return status
  }

  /** @throws ServerError `adapter_not_found`, `adapter_conflict` */
  async unload (name: string, options: { readonly model?: string | undefined, readonly expectedGeneration?: number | undefined } = {}): Promise<AdapterStatus> {
    const adapter = options.model === undefined ? this.#findAdapter(name) : this.#registryNamed(options.model).find(name)
    if (adapter === null) throw new ServerError('adapter_not_found', `There is no adapter "${name}"${this.#adapterNames()}`)
    const unloading = this.#registryNamed(adapter.model).unload(adapter.name, options.expectedGeneration)
    // What is remembered must not wait for memory to be freed.
    this.#options.onChange?.()
    return await unloading
  }

  /**
   * Sets the scales of requests that name none, as llama-server does: adapters that are not in the list get 0.
   * @throws ServerError `invalid_value` for numbers that no adapter has
   */
  setScales (scales: ReadonlyMap<number, number>): void {
    const adapters = this.list().filter(({ state }) => state !== 'draining')
    const unknown = [...scales.keys()].find((id) => !adapters.some((adapter) => adapter.id === id))
    if (unknown !== undefined) throw new ServerError('invalid_value', `There is no adapter with the id ${unknown}; there are ${adapters.map(({ id, name }) => `${id} (${name})`).join(', ') || 'none'}`)
    for (const { id, model, name } of adapters) this.#registryNamed(model).setScale(name, scales.get(id) ?? 0)
    this.#options.onChange?.()
  }

  #find (name: string): { readonly host: ModelHost, readonly adapter: AdapterStatus | null } {
    const host = this.#options.catalogue.find(name)
    if (host !== null) return { host, adapter: null }
    const adapter = this.#findAdapter(name)
    const base = adapter === null ? null : this.#options.catalogue.find(adapter.model)
    if (adapter === null || base === null) throw modelNotFound(name, this.#options.catalogue.hosts.map(({ id }) => id), this.#idsOfAdapters())
    return { host: base, adapter }
  }

  #findAdapter (name: string): AdapterStatus | null {
    const found = this.registries.flatMap((registry) => registry.find(name) ?? [])
    const [only, second] = found
    if (second !== undefined) {
      throw new ServerError('model_not_found', `Several models have an adapter "${name}"; name the model as well: ${found.map((status) => `"${status.model}:${name}"`).join(' or ')}`, { param: 'model' })
    }
    if (only !== undefined) return only
    // Names of models and of adapters may have colons in them.
    for (let colon = name.indexOf(':'); colon !== -1; colon = name.indexOf(':', colon + 1)) {
      const host = this.#options.catalogue.find(name.slice(0, colon))
      const registry = host === null ? undefined : this.#registryOf(host)
      const adapter = registry?.find(name.slice(colon + 1)) ?? registry?.find(name.slice(colon + 1).replace(/^:/, ''))
      if (adapter !== undefined && adapter !== null) return adapter
    }
    return null
  }

  #findChoice (host: ModelHost, { name, id }: AdapterChoice, index: number): AdapterStatus {
    const adapters = this.#registryOf(host)?.list().filter(({ state }) => state !== 'draining') ?? []
    const found = adapters.find((adapter) => id === undefined ? adapter.name === name : adapter.id === id)
    if (found !== undefined) return found
    const what = id === undefined ? `"${name}"` : `with the id ${id}`
    const names = adapters.map((adapter) => `"${adapter.name}" (id ${adapter.id})`)
    throw new ServerError('model_not_found', `The model "${host.id}" has no adapter ${what}; it has ${listOf(names)}`, { param: `lora[${index}]` })
  }

  #registryOf (host: ModelHost): AdapterRegistry | undefined {
    return this.registries.find(({ model }) => model === host.id)
  }

  /** @throws ServerError `invalid_value` where there are several models and none is named, `model_not_found` */
  #registryNamed (model: string | undefined): AdapterRegistry {
    const { hosts } = this.#options.catalogue
    if (model === undefined) {
      const [only, second] = this.registries
      if (only !== undefined && second === undefined) return only
      throw new ServerError('missing_required_parameter', only === undefined
        ? 'This server\'s models take no adapters'
        : `Missing required parameter: 'model'; this server has several models: ${hosts.map(({ id }) => `"${id}"`).join(', ')}`, { param: 'model' })
    }
    const host = this.#options.catalogue.find(model)
    const registry = host === null ? undefined : this.#registryOf(host)
    if (registry === undefined) throw modelNotFound(model, hosts.map(({ id }) => id), [])
    return registry
  }

  #idsOfAdapters (): readonly string[] {
    return this.list().filter(({ state }) => state !== 'draining').map((status) => this.idOf(status))
  }

  #adapterNames (): string {
    return `; there ${listOf(this.#idsOfAdapters().map((id) => `"${id}"`), 'is ', 'are ')}`
  }
}

const mostListed = 8

function listOf (names: readonly string[], one = '', many = ''): string {
  if (names.length === 0) return `${one}none`
  const more = names.length > mostListed ? ` and ${names.length - mostListed} more` : ''
  return `${names.length === 1 ? one : many}${names.slice(0, mostListed).join(', ')}${more}`
}
