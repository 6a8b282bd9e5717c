import type { AdapterLease } from '../adapters/adapter-registry.ts'
import { baseAdapterSet } from '../domain/adapter-set.ts'
import type { Millis } from '../domain/ids.ts'
import type { OpenModel } from './open-model.ts'

export interface HeldAdapters extends AdapterLease {
  /** What is left of the time that the request may wait. */
  readonly queueTimeoutMs: Millis
}

/** Holds the adapters of a request; what waiting for them took is taken from its time in the queue. */
export async function holdAdapters (
  { picks, acquire }: Pick<OpenModel, 'picks' | 'acquire'>, queueTimeoutMs: Millis, now: () => Millis, signal: AbortSignal
): Promise<HeldAdapters> {
  if (picks.length === 0) return { adapters: baseAdapterSet, queueTimeoutMs, release: () => {} }
  const startedAt = now()
  const { adapters, release } = await acquire(queueTimeoutMs, signal)
  return { adapters, release, queueTimeoutMs: Math.max(1, queueTimeoutMs - (now() - startedAt)) }
}
