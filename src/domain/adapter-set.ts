/**
 * One version of an adapter's file. A replaced adapter keeps its name and gets the next generation, so that requests in
 * flight and cached prefixes of the old file can be told from the new.
 */
export interface AdapterRef {
  readonly name: string
  readonly generation: number
  /** Strength of the adapter; 1 is as trained, 0 switches it off, negative values subtract. */
  readonly scale: number
}

/** Names one loaded adapter file, whatever scale it is used with. */
export type AdapterKey = string & { readonly __brand: 'AdapterKey' }

/** Canonical text of an adapter set; equal sets have equal keys. The base model's key is the empty string. */
export type AdapterSetKey = string & { readonly __brand: 'AdapterSetKey' }

/**
 * The adapters that are applied together in a step. llama.cpp applies LoRA per context, so a lane runs one set per step,
 * and a KV cache computed under one set is of no use under another.
 */
export interface AdapterSet {
  readonly key: AdapterSetKey
  readonly adapters: readonly AdapterRef[]
}

export const adapterKey = (adapter: Pick<AdapterRef, 'name' | 'generation'>): AdapterKey =>
  `${adapter.name}#${adapter.generation}` as AdapterKey

/** The base model alone. */
export const baseAdapterSet: AdapterSet = Object.freeze({ key: '' as AdapterSetKey, adapters: Object.freeze([]) })

/** Builds the set of the given adapters; order does not matter, and adapters of scale 0 drop out. */
export function createAdapterSet (adapters: readonly AdapterRef[]): AdapterSet {
  const active = adapters
    .filter((adapter) => adapter.scale !== 0)
    .sort((a, b) => (adapterKey(a) < adapterKey(b) ? -1 : 1))
  if (active.length === 0) return baseAdapterSet
  const key = active.map((adapter) => `${adapterKey(adapter)}@${adapter.scale}`).join('+') as AdapterSetKey
  return Object.freeze({ key, adapters: Object.freeze(active) })
}
