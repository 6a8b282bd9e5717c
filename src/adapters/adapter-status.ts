import type { AdapterFacts } from './adapter-facts.ts'

/** Who put an adapter here, and so who takes it away: an option, the watched directory, or a call of the API. */
export type AdapterOrigin = 'option' | 'directory' | 'api'

/** What is wanted of an adapter. */
export interface AdapterDefinition {
  readonly name: string
  /** Where it comes from: a path, or a reference that is fetched. */
  readonly reference: string
  readonly origin: AdapterOrigin
  /** The scale of requests that name none. */
  readonly scale: number
  /** Whether it stays in memory however long nobody asks for it. */
  readonly isPinned: boolean
  /** Begins the conversations that have no system message of their own. */
  readonly systemPrompt: string | null
  /** Jinja source that is used instead of the model's own chat template. */
  readonly chatTemplate: string | null
}

/**
 * - `fetching`, `checking`, `loading`: it is on its way, and requests for it wait.
 * - `ready`: in memory.
 * - `evicted`: known and checked, but out of memory to make room; the next request brings it back.
 * - `draining`: unloaded or replaced; requests that began with it end with it.
 * - `failed`: it could not be had; requests for it are told why.
 */
export type AdapterState = 'fetching' | 'checking' | 'loading' | 'ready' | 'evicted' | 'draining' | 'failed'

/** A version that was replaced or unloaded, and is still in memory for the requests that began with it. */
export interface DrainingGeneration {
  readonly generation: number
  readonly inFlight: number
  readonly sizeBytes: number
}

/** An adapter as one sees it from outside, at one moment. */
export interface AdapterStatus extends AdapterDefinition {
  /** Its number among all adapters of the server, as llama-server counts them. Never given twice. */
  readonly id: number
  /** Id of the model that it belongs to. */
  readonly model: string
  /** Of the version that requests get, whatever is on its way to replace it. */
  readonly state: AdapterState
  /** What the next version is doing while this one serves; null where there is none on its way. */
  readonly next: 'fetching' | 'checking' | 'loading' | null
  /** 0 where no version was ever ready. */
  readonly generation: number
  /** What the file says; null where no version was ever ready. */
  readonly facts: AdapterFacts | null
  /** In memory for it now, over all its versions. */
  readonly residentBytes: number
  /** Requests that hold it, over all its versions. */
  readonly inFlight: number
  /** Requests that wait for it to be loaded. */
  readonly waiting: number
  readonly draining: readonly DrainingGeneration[]
  /** When the version came to be, and when it last came into memory; milliseconds since 1970. */
  readonly createdAt: number
  readonly loadedAt: number | null
  /** How long the last loading took, from the file to memory. */
  readonly loadMs: number | null
  /** Why the last try to load or replace it failed; null when it did not. */
  readonly error: string | null
}
