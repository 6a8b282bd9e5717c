import type { Logger } from 'pino'
import type { AdapterLibrary } from '../adapters/adapter-library.ts'
import { isLoopback } from '../config/check-config.ts'
import type { Config } from '../config/config.ts'
import type { PreparedModel } from '../models/prepare-models.ts'
import type { ProcessHost } from '../models/process-host.ts'
import type { LogOutput } from '../telemetry/log-output.ts'
import { startScreen } from './start-screen.ts'
import { readVersion } from './version.ts'

export interface Announcement {
  readonly config: Config
  readonly urls: readonly string[]
  readonly models: readonly PreparedModel[]
  readonly hosts: readonly ProcessHost[]
  readonly adapters: AdapterLibrary
  readonly storedKeyCount: number
  readonly logger: Logger
  readonly output: LogOutput
  readonly isTerminal: boolean
  readonly isColoured: boolean
}

/** A screen for people; for programs that read the log, the same facts in it. */
export function announce ({ config, urls, models, hosts, adapters, storedKeyCount, logger, output, isTerminal, isColoured }: Announcement): void {
  const started = hosts.flatMap((host, index) => host.info === null ? [] : [{ id: host.id, info: host.info, quantization: models[index]?.file?.quantization ?? null }])
  const isScreenWanted = config.logLevel !== 'silent' && (config.logFormat === 'pretty' || (config.logFormat === 'auto' && isTerminal))
  if (!isScreenWanted) {
    logger.info({
      url: `${urls[0]}/v1`,
      models: started.map(({ id, info }) => ({
        id,
        architecture: info.model.architecture,
        parameters: info.model.parameterCount,
        sizeBytes: info.model.sizeBytes,
        slots: info.laneCount * info.slotsPerLane,
        lanes: info.laneCount,
        contextSize: info.contextSize,
        threads: info.threads,
        flashAttention: info.flashAttention,
        placement: info.placement,
        draftModel: info.draftModel?.name,
        build: info.build
      }))
    }, 'ready')
    return
  }
  output.write(startScreen({
    version: readVersion(),
    origins: urls,
    models: started,
    adapters: adapters.list().filter(({ state }) => state !== 'failed' && state !== 'draining').map((adapter) => adapters.idOf(adapter)),
    keyCount: config.tenants.reduce((sum, { keys }) => sum + keys.length, config.apiKeys.length + config.adminKeys.length + storedKeyCount),
    isPublic: !isLoopback(config.host),
    command: process.env['npm_lifecycle_event'] === 'start' ? 'npm start --' : 'drawbridge',
    isColoured
  }))
}
