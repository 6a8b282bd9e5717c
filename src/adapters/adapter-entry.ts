import { adapterKey, type AdapterKey } from '../domain/adapter-set.ts'
import type { ServerError } from '../domain/errors.ts'
import type { AdapterFacts } from './adapter-facts.ts'
import type { AdapterDefinition, AdapterState, AdapterStatus } from './adapter-status.ts'

/**
 * Where a version is. `absent`: its file is kept, but it takes no memory. `arriving` and `leaving` count as memory: nobody knows
 * how much of it is there already, or still.
 */
type Residence = 'absent' | 'arriving' | 'resident' | 'leaving'

/** One version of an adapter: a file of the server's own that nobody else changes. */
export interface Generation {
  readonly key: AdapterKey
  readonly number: number
  readonly path: string
  /** Holds the file and nothing else; removed with it. */
  readonly folder: string
  readonly facts: AdapterFacts
  readonly createdAt: number
  residence: Residence
  leases: number
  lastUsedAt: number
  loadedAt: number
  loadMs: number
}

/** What one name stands for, through all its versions. */
export interface AdapterEntry {
  readonly id: number
  definition: AdapterDefinition
  /** What requests get. */
  current: Generation | null
  /** The version on its way. */
  next: { state: 'fetching' | 'checking' | 'loading', readonly controller: AbortController } | null
  /** The version on its way, from when room is sought for it until requests get it. */
  arriving: Generation | null
  /** The current version is being brought back into memory. */
  revival: AbortController | null
  /** Replaced and unloaded versions that are still in memory. */
  readonly old: Set<Generation>
  waiting: number
  failure: ServerError | null
  /** How often it could not be brought back, for those that wait to tell a new failure from an old one. */
  failedRevivals: number
  isUnloaded: boolean
}

export function createGeneration (
  name: string, number: number, file: Pick<Generation, 'path' | 'folder' | 'facts'>, createdAt: number
): Generation {
  return {
    ...file,
    key: adapterKey({ name, generation: number }),
    number,
    createdAt,
    residence: 'absent',
    leases: 0,
    lastUsedAt: 0,
    loadedAt: 0,
    loadMs: 0
  }
}

export const createEntry = (id: number, definition: AdapterDefinition): AdapterEntry => ({
  id, definition, current: null, next: null, arriving: null, revival: null, old: new Set(), waiting: 0, failure: null, failedRevivals: 0, isUnloaded: false
})

const generationsOf = ({ current, arriving, old }: AdapterEntry): readonly Generation[] => [current, arriving, ...old].filter((generation) => generation !== null)

export const isInMemory = ({ residence }: Generation): boolean => residence !== 'absent'

export function toStatus (model: string, entry: AdapterEntry, now: number): AdapterStatus {
  const { current, next, old, failure } = entry
  const all = generationsOf(entry)
  return {
    ...entry.definition,
    id: entry.id,
    model,
    state: stateOf(entry),
    next: current === null ? null : next?.state ?? null,
    generation: current?.number ?? 0,
    facts: current?.facts ?? null,
    residentBytes: all.filter(isInMemory).reduce((sum, { facts }) => sum + facts.sizeBytes, 0),
    inFlight: all.reduce((sum, { leases }) => sum + leases, 0),
    waiting: entry.waiting,
    draining: [...old].map(({ number, leases, facts }) => ({ generation: number, inFlight: leases, sizeBytes: facts.sizeBytes })),
    createdAt: current?.createdAt ?? now,
    loadedAt: current === null || current.loadedAt === 0 ? null : current.loadedAt,
    loadMs: current === null || current.loadedAt === 0 ? null : current.loadMs,
    error: failure?.message ?? null
  }
}

function stateOf ({ isUnloaded, current, next, failure }: AdapterEntry): AdapterState {
  if (isUnloaded) return 'draining'
  if (current !== null) {
    if (current.residence === 'resident') return 'ready'
    return current.residence === 'arriving' ? 'loading' : 'evicted'
  }
  return next?.state ?? (failure === null ? 'fetching' : 'failed')
}
