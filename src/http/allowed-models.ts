import type { AdapterChoice, AdapterLibrary, SelectedModel } from '../adapters/adapter-library.ts'
import type { AdapterStatus } from '../adapters/adapter-status.ts'
import { modelNotFound } from '../adapters/model-not-found.ts'
import type { Caller } from '../access/caller.ts'
import { matchesAny } from '../access/name-patterns.ts'
import { ServerError } from '../domain/errors.ts'
import type { ModelCatalogue } from '../models/catalogue.ts'
import type { ModelHost } from '../models/model-host.ts'

type Rights = Pick<Caller, 'models' | 'adapters'>

const mayUseAll = ({ models, adapters }: Rights): boolean => models === null && adapters === null

/** An adapter takes both: its own name, and that of its model. */
export const mayUseAdapter = (caller: Rights, adapter: Pick<AdapterStatus, 'name' | 'model'>): boolean =>
  matchesAny(caller.models, adapter.model) && matchesAny(caller.adapters, adapter.name)

export const allowedHosts = (caller: Rights, { hosts }: Pick<ModelCatalogue, 'hosts'>): readonly ModelHost[] =>
  hosts.filter(({ id }) => matchesAny(caller.models, id))

export const allowedAdapters = (caller: Rights, library: AdapterLibrary): readonly AdapterStatus[] =>
  library.list().filter((adapter) => mayUseAdapter(caller, adapter))

interface Served {
  readonly adapters: AdapterLibrary
  readonly catalogue: ModelCatalogue
}

/**
 * As `AdapterLibrary.select`, for what the caller may use: the rest does not exist for it, so nobody finds out by errors what others have.
 * @throws ServerError `model_not_found`, and `invalid_value` for adapters that are named twice
 */
export function selectAllowed (served: Served, caller: Rights, name: string, choices: readonly AdapterChoice[] = []): SelectedModel {
  const { adapters } = served
  if (mayUseAll(caller)) return adapters.select(name, choices)
  const alone = selectIfAllowed(adapters, caller, name, [])
  if (alone === null) throw unknownModel(served, caller, name)
  // One by one: an error of all of them may name one that is somebody else's.
  for (const [index, choice] of choices.entries()) {
    if (selectIfAllowed(adapters, caller, name, [choice]) === null) {
      const what = choice.id === undefined ? `"${choice.name}"` : `with the id ${choice.id}`
      throw new ServerError('model_not_found', `The model "${name}" has no adapter ${what}`, { param: `lora[${index}]` })
    }
  }
  return choices.length === 0 ? alone : adapters.select(name, choices)
}

function selectIfAllowed (adapters: AdapterLibrary, caller: Rights, name: string, choices: readonly AdapterChoice[]): SelectedModel | null {
  try {
    const selected = adapters.select(name, choices)
    const { host, picks } = selected
    return picks.every((pick) => mayUseAdapter(caller, { name: pick.name, model: host.id })) && matchesAny(caller.models, host.id) ? selected : null
  } catch (error) {
    if (error instanceof ServerError && error.code === 'model_not_found') return null
    throw error
  }
}

function unknownModel ({ adapters, catalogue }: Served, caller: Rights, name: string): ServerError {
  const names = allowedAdapters(caller, adapters).filter(({ state }) => state !== 'draining').map((adapter) => adapters.idOf(adapter))
  return modelNotFound(name, allowedHosts(caller, catalogue).map(({ id }) => id), names)
}

/**
 * As `AdapterLibrary.find`, for what the caller may use.
 * @throws ServerError `adapter_not_found`
 */
export function findAllowedAdapter (library: AdapterLibrary, caller: Rights, name: string, model?: string): AdapterStatus {
  if (mayUseAll(caller)) return library.find(name, model)
  try {
    const adapter = library.find(name, model)
    if (mayUseAdapter(caller, adapter)) return adapter
  } catch (error) {
    if (!(error instanceof ServerError) || (error.code !== 'adapter_not_found' && error.code !== 'model_not_found')) throw error
  }
  throw new ServerError('adapter_not_found', `There is no adapter "${name}"`)
}

/** @throws ServerError `permission_denied` for adapters that the caller may not use, `missing_required_parameter` where it does not say of which model */
export function checkMayLoad ({ catalogue }: Pick<Served, 'catalogue'>, caller: Rights, name: string, model: string | undefined): void {
  if (mayUseAll(caller)) return
  const [only, second] = catalogue.hosts
  if (model === undefined && second !== undefined) throw new ServerError('missing_required_parameter', 'Missing required parameter: \'model\'; this server has several models', { param: 'model' })
  const host = model === undefined ? only : catalogue.find(model)
  if (host == null || !mayUseAdapter(caller, { name, model: host.id })) {
    throw new ServerError('permission_denied', `This key is not for an adapter "${name}"${model === undefined ? '' : ` of "${model}"`}`, { param: 'name' })
  }
}

/** @throws ServerError `adapter_not_found` */
export function checkMayUnload (library: AdapterLibrary, caller: Rights, name: string, model: string | undefined): void {
  if (!mayUseAll(caller)) findAllowedAdapter(library, caller, name, model)
}

/** @throws ServerError `permission_denied` for keys that are for some models or adapters only */
export function checkMayChangeAll (caller: Rights): void {
  if (!mayUseAll(caller)) throw new ServerError('permission_denied', 'This changes all adapters, and this key is for some of them')
}
