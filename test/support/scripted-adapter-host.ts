import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { PrepareAdapter } from '../../src/adapters/adapter-facts.ts'
import { AdapterRegistry, type AdapterRegistryOptions, type LoadRequest } from '../../src/adapters/adapter-registry.ts'
import { ServerError } from '../../src/domain/errors.ts'

/** Something that a test lets go on when it wants to. */
export function createGate (): { readonly opened: Promise<void>, readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}

/**
 * A registry over an engine that notes what it is told. A reference is the adapter's size in bytes and any words after it: `bad` fails its
 * check, `engine-refuses` fails in the engine, and what is in `gates` waits there.
 */
export async function createScriptedRegistry ({ model = 'base', ...options }: Partial<AdapterRegistryOptions> & { model?: string } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), 'drawbridge-registry-'))
  const log: { readonly message: string, readonly details: Record<string, unknown> }[] = []
  const engine: string[] = []
  const loaded = new Set<string>()
  const gates = new Map<string, Promise<void>>()
  const fetched: string[] = []
  let number = 0
  let time = 0

  const prepare: PrepareAdapter = async (file, { signal }) => {
    const reference = path.basename(file).replace(/^adapter |\.gguf$/g, '')
    await gates.get(`check ${reference}`)
    signal.throwIfAborted()
    if (reference.includes('bad')) throw new ServerError('invalid_adapter', `The adapter ${file} is bad`)
    const sizeBytes = Number.parseInt(reference)
    return { facts: { format: 'gguf', name: null, architecture: 'llama', rank: 8, alpha: 16, targetCount: 7, sizeBytes }, file: { path: file } }
  }
  const registry = new AdapterRegistry({
    host: {
      id: model,
      ready: async () => {},
      inference: {
        loadAdapter: async (key, file) => {
          await gates.get(`load ${key}`)
          if (file.path.includes('engine-refuses')) throw new ServerError('invalid_adapter', 'The file is not a LoRA adapter of this model')
          if (loaded.has(key)) throw new Error(`${key} is loaded twice`)
          await access(file.path)
          loaded.add(key)
          engine.push(`load ${key}`)
        },
        unloadAdapter: async (key) => {
          await gates.get(`unload ${key}`)
          if (!loaded.delete(key)) throw new Error(`${key} is not loaded`)
          engine.push(`unload ${key}`)
        }
      }
    },
    modelPaths: ['/model.gguf'],
    fetch: async ({ reference }, { folder: into, signal }) => {
      fetched.push(reference)
      await gates.get(`fetch ${reference}`)
      signal.throwIfAborted()
      const file = path.join(into, `adapter ${reference}.gguf`)
      await writeFile(file, reference)
      return file
    },
    prepare,
    limits: { maxRank: 64, maxSizeBytes: 1000 },
    room: { maxAdapters: Infinity, maxBytes: Infinity },
    maxWaiting: () => 100,
    folder,
    nextId: () => number++,
    logger: {
      info: (details, message) => { log.push({ message, details: details as Record<string, unknown> }) },
      warn: (details, message) => { log.push({ message, details: details as Record<string, unknown> }) }
    },
    now: () => ++time,
    ...options
  })
  return {
    registry,
    folder,
    engine,
    loaded,
    gates,
    fetched,
    log,
    dispose: async () => {
      await registry.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

export const loadRequest = (name: string, reference: string, changes: Partial<LoadRequest> = {}): LoadRequest => ({
  name,
  reference,
  origin: 'api',
  scale: 1,
  isPinned: false,
  systemPrompt: null,
  chatTemplate: null,
  ifExists: 'refuse',
  keepsFailure: false,
  ...changes
})
