import type { AdapterLibrary } from '../../adapters/adapter-library.ts'
import type { LineCapacity } from '../../batches/batch-runner.ts'
import type { Config } from '../../config/config.ts'
import { ServerError } from '../../domain/errors.ts'

/** Lines beside those in slots: a slot that one leaves is the next one's at once. */
const waitingLines = 2

/** How many lines of a model may be under way: as many as have a slot, and no more than leave others room in the queue. */
export function capacityOf (model: string, adapters: Pick<AdapterLibrary, 'select'>, { batchConcurrency, maxQueue }: Pick<Config, 'batchConcurrency' | 'maxQueue'>): LineCapacity {
  try {
    const { host } = adapters.select(model, [])
    if (host.state !== 'ready' || host.info === null) return { group: host.id, lines: 0 }
    const slots = host.info.laneCount * host.info.slotsPerLane
    const lines = batchConcurrency === 'auto' ? Math.min(slots + waitingLines, Math.ceil(maxQueue / 2)) : batchConcurrency
    return { group: host.id, lines }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    // Its request says what is wrong.
    return { group: '', lines: 1 }
  }
}
