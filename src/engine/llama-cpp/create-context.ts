import { ServerError } from '../../domain/errors.ts'
import type { ComputeSetting } from './choose-setting.ts'
import type { NativeBindings, NativeContext, NativeModel } from './native.ts'

export interface ContextShape {
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  readonly maxStepTokens: number
}

/**
 * Makes a context.
 * @throws ServerError `engine_error` when there is not enough memory for it
 */
export async function createContext (
  bindings: NativeBindings, model: NativeModel, { slotsPerLane, contextSize, maxStepTokens }: ContextShape, setting: ComputeSetting
): Promise<NativeContext> {
  const context = new bindings.AddonContext(model, {
    // Divided by llama.cpp among the slots, each share rounded up to a multiple of 256.
    contextSize: contextSize * slotsPerLane,
    batchSize: Math.max(maxStepTokens, slotsPerLane),
    sequences: slotsPerLane,
    threads: setting.threads,
    // llama.cpp leaves it out where a device cannot do it.
    flashAttention: setting.flashAttention ? 'auto' : false,
    // Models with a sliding window would drop what a kept prefix needs.
    swaFullCache: true
  })
  if (!await context.init()) {
    await context.dispose()
    throw new ServerError('engine_error', `There is not enough memory for ${slotsPerLane} slots of ${contextSize} tokens`)
  }
  return context
}
