import type { AdapterSet } from '../domain/adapter-set.ts'
import type { ModelHost } from './model-host.ts'
import { baseAdapterSet } from '../domain/adapter-set.ts'
import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'

/** One entry of `/v1/models`. */
export interface ModelCard {
  readonly id: string
  /** Where it came from: a file path, or `demo` or `fake`. */
  readonly root: string
  /** The base model's id when the entry is an adapter; null for a base model. */
  readonly parent: string | null
  /** Seconds since 1970. */
  readonly createdAt: number
  /** Tokens that one request may hold, prompt and answer together; null while the model has never been ready. */
  readonly contextSize: number | null
}

/** What a request's `model` field means: who answers, and with which adapters. */
export interface ResolvedModel {
  readonly host: ModelHost
  readonly adapters: AdapterSet
}

/** Every model this server offers, by name. */
export interface ModelCatalogue {
  readonly hosts: readonly ModelHost[]
  /** In the order in which the models were configured. */
  list (): readonly ModelCard[]
  /**
   * @param name the request's `model`: a model's id, or where it came from as configured (so `demo` names the demo model
   * whatever its alias), as long as only one model came from there.
   * @throws ServerError `model_not_found`, naming the models there are.
   */
  resolve (name: string): ResolvedModel
}

const listedNames = 8

/** @throws StartupError when two models have the same id. */
export function createModelCatalogue (hosts: readonly ModelHost[]): ModelCatalogue {
  const hostsById = new Map<string, ModelHost>()
  for (const host of hosts) {
    const other = hostsById.get(host.id)
    if (other !== undefined) {
      throw new StartupError(`Two models are called "${host.id}" (${other.root} and ${host.root}); give one of them another name with --alias`)
    }
    hostsById.set(host.id, host)
  }

  function findHost (name: string): ModelHost | undefined {
    const host = hostsById.get(name)
    if (host !== undefined) return host
    const sameRoot = hosts.filter((candidate) => candidate.root === name)
    return sameRoot.length === 1 ? sameRoot[0] : undefined
  }

  return {
    hosts,

    list () {
      return hosts.map((host) => ({
        id: host.id,
        root: host.root,
        parent: null,
        createdAt: host.createdAt,
        contextSize: host.info?.contextSize ?? null
      }))
    },

    resolve (name) {
      const host = findHost(name)
      if (host === undefined) {
        const names = hosts.slice(0, listedNames).map((known) => `"${known.id}"`).join(', ')
        const more = hosts.length > listedNames ? ` and ${hosts.length - listedNames} more` : ''
        throw new ServerError('model_not_found', `The model "${name}" does not exist; this server has ${names}${more}`, { param: 'model' })
      }
      return { host, adapters: baseAdapterSet }
    }
  }
}
