import type { EngineInfo } from '../engine/engine.ts'
import type { ModelHost } from './model-host.ts'
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
  /** What it can do, if that is not to write text alone. */
  readonly capabilities?: readonly ModelCapability[]
}

export type ModelCapability = 'completion' | 'embeddings' | 'rerank'

/** Null for models that write text and do nothing else, and for such as have never been ready. */
export function capabilitiesOf (info: EngineInfo | null): readonly ModelCapability[] | null {
  if (info?.embedding === undefined) return null
  const { canGenerate = true, embedding } = info
  return [...(canGenerate ? ['completion'] as const : []), embedding.pooling === 'rank' ? 'rerank' : 'embeddings']
}

/** Every model this server offers, by name. */
export interface ModelCatalogue {
  readonly hosts: readonly ModelHost[]
  /** In the order in which the models were configured. */
  list (): readonly ModelCard[]
  /**
   * @param name a model's id, or where it came from as configured (so `demo` names the demo model whatever its alias), as
   * long as only one model came from there.
   * @returns null when no model is called that.
   */
  find (name: string): ModelHost | null
}

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

  return {
    hosts,

    list () {
      return hosts.map((host) => {
        const capabilities = capabilitiesOf(host.info)
        return {
          id: host.id,
          root: host.root,
          parent: null,
          createdAt: host.createdAt,
          contextSize: host.info?.contextSize ?? null,
          ...(capabilities === null ? {} : { capabilities })
        }
      })
    },

    find (name) {
      const host = hostsById.get(name)
      if (host !== undefined) return host
      const sameRoot = hosts.filter((candidate) => candidate.root === name)
      return sameRoot.length === 1 ? sameRoot[0] ?? null : null
    }
  }
}
