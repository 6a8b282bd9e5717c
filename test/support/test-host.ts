import type { Inference } from '../../src/inference/inference.ts'
import type { ModelHost, ModelState } from '../../src/models/model-host.ts'

export interface TestHost extends ModelHost {
  state: ModelState
  failure: Error | null
  restarts: number
}

/** A model host around an inference of this process; its state is whatever a test sets. */
export function createTestHost (inference: Inference, options: { id?: string, root?: string, isLoaded?: boolean } = {}): TestHost {
  const { id = 'test-model', root = 'test-root', isLoaded = true } = options
  return {
    id,
    root,
    createdAt: 1_700_000_000,
    state: isLoaded ? 'ready' : 'loading',
    failure: null,
    info: isLoaded ? inference.info : null,
    inference,
    pid: null,
    restarts: 0,
    ready: async () => {},
    close: async () => await inference.close(),
    destroy: async (error) => await inference.destroy(error),
    [Symbol.asyncDispose]: async () => await inference.destroy(new Error('disposed'))
  }
}
