import { randomUUID } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import path from 'node:path'
import type { AdapterConfig, Config } from '../config/config.ts'
import { StartupError } from '../domain/startup-error.ts'
import { fileErrorText } from '../domain/file-error-text.ts'
import type { ModelCatalogue } from '../models/catalogue.ts'
import { removeLeftovers } from '../models/remove-leftovers.ts'
import { AdapterFolder } from './adapter-folder.ts'
import type { PrepareAdapter } from './adapter-facts.ts'
import { AdapterLibrary } from './adapter-library.ts'
import type { AdapterLogger } from './adapter-entries.ts'
import type { AdapterHost } from './adapter-host.ts'
import { AdapterRegistry } from './adapter-registry.ts'
import { type AdapterState, AdapterStateWriter, readAdapterState } from './adapter-state.ts'
import { ConfiguredAdapters } from './configured-adapters.ts'
import { expandHome } from './expand-home.ts'
import { allowListProblem } from './sources/allow-list.ts'
import { createFetchAdapter, resolveReference } from './sources/fetch-adapter.ts'

export interface AdapterModel {
  readonly host: AdapterHost
  /** Its GGUF files; none of the fake engine. */
  readonly paths: readonly string[]
  readonly prepare: PrepareAdapter
}

export interface OpenAdaptersOptions {
  readonly config: Pick<Config, 'adapters' | 'adapterDir' | 'adapterFetch' | 'adapterState' | 'maxAdapters' | 'adapterMemory' | 'adapterMaxSize' | 'adapterMaxRank' | 'maxQueue'>
  readonly catalogue: ModelCatalogue
  readonly models: readonly AdapterModel[]
  readonly logger: AdapterLogger
  readonly sourceOf: (flag: string) => string
  /** `HF_ENDPOINT` and `HF_TOKEN` say where Hugging Face is, and who asks. */
  readonly environment: NodeJS.ProcessEnv
}

export interface OpenAdapters {
  readonly library: AdapterLibrary
  /**
   * Begins to load what is configured, what the folder has and what the API had loaded. Settles when the folder was looked at, so that
   * requests for what is in it wait.
   * @returns settles when what is configured is loaded. @throws StartupError when that fails
   */
  start (): Promise<{ readonly configured: Promise<void> }>
  /** @throws StartupError when adapters cannot be configured like this */
  check (adapters: readonly AdapterConfig[]): void
  /**
   * Makes the configured adapters those of a new configuration; see `ConfiguredAdapters`.
   * @throws StartupError when one of them cannot be placed; then nothing has changed
   */
  reconfigure (adapters: readonly AdapterConfig[]): Promise<void>
  close (): Promise<void>
}

const unlimited = <Value>(value: Value | 'off'): Value | number => value === 'off' ? Infinity : value

/**
 * Puts the adapters of a server together: a registry for each model, their sources, the watched folder, and what is remembered.
 * @throws StartupError when a setting cannot be
 */
export function openAdapters ({ config, catalogue, models, logger, sourceOf, environment }: OpenAdaptersOptions): OpenAdapters {
  const directory = config.adapterDir === 'off' ? null : path.resolve(expandHome(config.adapterDir))
  if (directory !== null) checkDirectory(directory, sourceOf('adapter-dir'))
  for (const entry of config.adapterFetch) {
    const problem = allowListProblem(entry)
    if (problem !== null) throw new StartupError(`${sourceOf('adapter-fetch')} is ${JSON.stringify(entry)}, but ${problem}`)
  }
  const stateFile = config.adapterState !== 'auto' ? path.resolve(expandHome(config.adapterState)) : directory === null ? null : path.join(directory, '.drawbridge-adapters.json')
  const remembered = stateFile === null ? { adapters: [], unloaded: [] } : readAdapterState(stateFile)

  /** Of the folder for copies of the adapters' files. */
  const prefix = `drawbridge-adapters-${hostname()}-`
  const folder = path.join(tmpdir(), `${prefix}${process.pid}-${randomUUID()}`)
  const fetch = createFetchAdapter({
    directory,
    allowed: config.adapterFetch,
    maxSizeBytes: config.adapterMaxSize,
    huggingFaceEndpoint: readEndpoint(environment['HF_ENDPOINT']),
    huggingFaceToken: environment['HF_TOKEN']
  })
  let lastId = -1
  const registries = models.map(({ host, paths, prepare }, index) => new AdapterRegistry({
    host,
    modelPaths: paths,
    fetch,
    prepare,
    limits: { maxRank: config.adapterMaxRank, maxSizeBytes: config.adapterMaxSize },
    // Those that are in memory stay for a smaller limit, until another one looks for room.
    room: {
      get maxAdapters () { return unlimited(config.maxAdapters) },
      get maxBytes () { return unlimited(config.adapterMemory) }
    },
    maxWaiting: () => config.maxQueue,
    folder: path.join(folder, String(index)),
    nextId: () => ++lastId,
    logger
  }))

  const registryOf = (model: string): AdapterRegistry | undefined => registries.find((registry) => registry.model === model)
  const configured = new ConfiguredAdapters(config.adapters, { catalogue, registryOf, sourceOf, logger })

  /** Once the server closes, what is given up on the way is not forgotten. */
  let isClosing = false
  const save = (): void => { if (!isClosing) writer?.write(stateOf(library, folders)) }
  const library = new AdapterLibrary({ catalogue, registries, resolveReference: (reference) => resolveReference(reference, directory), onChange: save })
  const writer = stateFile === null
    ? null
    : new AdapterStateWriter(stateFile, (error) => logger.warn({ file: stateFile, error: error.message }, 'adapter state cannot be written'))
  const folders = directory === null
    ? []
    : registries.map((registry) => new AdapterFolder({
      path: registries.length === 1 ? directory : path.join(directory, registry.model),
      registry,
      logger,
      mayBeMissing: registries.length > 1,
      isTaken: (name) => catalogue.find(name) !== null,
      unloaded: new Map(remembered.unloaded.filter(({ model }) => model === registry.model).map(({ name, fingerprint }) => [name, fingerprint])),
      onChange: save
    }))
  const starting = new AbortController()

  return {
    library,

    async start () {
      // A place that cannot be read matters to whoever loads an adapter.
      await removeLeftovers(tmpdir(), prefix).catch(() => {})
      const loads = configured.start(starting.signal)
      restore(remembered, registryOf, logger)
      await Promise.all(folders.map(async (watched) => await watched.start()))
      // It may be waited for later than it fails.
      loads.catch(() => {})
      return { configured: loads }
    },

    check: (adapters) => configured.check(adapters),
    reconfigure: async (adapters) => await configured.replace(adapters, starting.signal),

    async close () {
      isClosing = true
      starting.abort()
      await Promise.all(folders.map(async (watched) => await watched.close()))
      await Promise.all(registries.map(async (registry) => await registry.close()))
      await writer?.settle()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** What the API had loaded comes back beside everything else. What fails stays on the list, with the reason. */
function restore ({ adapters }: AdapterState, registryOf: (model: string) => AdapterRegistry | undefined, logger: AdapterLogger): void {
  for (const { model, name, reference, scale, pinned } of adapters) {
    const registry = registryOf(model)
    if (registry === undefined || registry.find(name) !== null) {
      logger.warn({ model, adapter: name, reference }, registry === undefined ? 'remembered adapter belongs to a model that is not served' : 'remembered adapter is configured by now')
      continue
    }
    registry.load({
      name, reference, origin: 'api', scale, isPinned: pinned, systemPrompt: null, chatTemplate: null, ifExists: 'refuse', keepsFailure: true
    }, new AbortController().signal).catch(() => {})
  }
}

function stateOf (library: AdapterLibrary, folders: readonly AdapterFolder[]): AdapterState {
  return {
    adapters: library.list().filter(({ origin, state }) => origin === 'api' && state !== 'draining')
      .map(({ model, name, reference, scale, isPinned }) => ({ model, name, reference, scale, pinned: isPinned })),
    unloaded: folders.flatMap((folder) => folder.unloaded.map((unloaded) => ({ model: folder.model, ...unloaded })))
  }
}

function checkDirectory (directory: string, source: string): void {
  let problem: string | null
  try {
    problem = statSync(directory).isDirectory() ? null : 'it is no folder'
  } catch (error) {
    problem = fileErrorText(error)
  }
  if (problem !== null) throw new StartupError(`The adapter folder ${directory} (${source}) cannot be used: ${problem}`)
}

function readEndpoint (text = 'https://huggingface.co'): URL {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) throw new StartupError(`HF_ENDPOINT is ${JSON.stringify(text)}, but must be an address such as https://huggingface.co`)
  return new URL(text)
}
