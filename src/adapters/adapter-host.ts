import type { AdapterKey } from '../domain/adapter-set.ts'
import type { AdapterFile } from '../engine/engine.ts'

/** The model that a registry's adapters belong to, as far as it needs it. */
export interface AdapterHost {
  readonly id: string
  ready (signal: AbortSignal): Promise<void>
  readonly inference: {
    loadAdapter (key: AdapterKey, file: AdapterFile, signal: AbortSignal): Promise<void>
    unloadAdapter (key: AdapterKey): Promise<void>
  }
}
