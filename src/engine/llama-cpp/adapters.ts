import { adapterKey } from '../../domain/adapter-set.ts'
import type { AdapterKey, AdapterRef } from '../../domain/adapter-set.ts'
import { ServerError } from '../../domain/errors.ts'
import type { NativeBindings, NativeLora, NativeModel } from './native.ts'

/** The adapters of one model that are in memory. */
export class Adapters {
  readonly #bindings: NativeBindings
  readonly #model: NativeModel
  readonly #loaded = new Map<AdapterKey, NativeLora>()
  /** llama.cpp keeps a list of a model's adapters that two changes at once, on two threads, would break. */
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor (bindings: NativeBindings, model: NativeModel) {
    this.#bindings = bindings
    this.#model = model
  }

  /** @throws ServerError `engine_error` when it is not loaded */
  get (adapter: Pick<AdapterRef, 'name' | 'generation'>): NativeLora {
    const lora = this.#loaded.get(adapterKey(adapter))
    if (lora === undefined) throw new ServerError('engine_error', `The adapter "${adapter.name}" (generation ${adapter.generation}) is not loaded`)
    return lora
  }

  /** See `Engine.loadAdapter`. The signal is looked at before and after: the loading itself cannot be stopped. */
  async load (key: AdapterKey, path: string, signal: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      signal.throwIfAborted()
      if (this.#loaded.has(key)) throw new ServerError('engine_error', `The adapter ${key} is loaded already`)
      const lora = new this.#bindings.AddonModelLora(this.#model, path)
      try {
        await this.#model.loadLora(lora)
        signal.throwIfAborted()
      } catch (error) {
        await lora.dispose()
        signal.throwIfAborted()
        throw new ServerError('invalid_adapter', 'The file is not a LoRA adapter of this model', { cause: error })
      }
      this.#loaded.set(key, lora)
    })
  }

  has (key: AdapterKey): boolean {
    return this.#loaded.has(key)
  }

  /** No context may use it any more. */
  async unload (key: AdapterKey): Promise<void> {
    const lora = this.#loaded.get(key)
    // At once, so that no step takes it up again while this waits.
    this.#loaded.delete(key)
    await this.#inTurn(async () => { await lora?.dispose() })
  }

  async dispose (): Promise<void> {
    await this.#lastChange
    for (const key of [...this.#loaded.keys()]) await this.unload(key)
  }

  async #inTurn (change: () => Promise<void>): Promise<void> {
    const mine = this.#lastChange.then(change)
    this.#lastChange = mine.catch(() => {})
    await mine
  }
}
