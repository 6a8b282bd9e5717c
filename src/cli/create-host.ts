import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { threadPoolSize } from '../engine/llama-cpp/thread-pool-size.ts'
import type { PreparedModel } from '../models/prepare-models.ts'
import { createProcessHost, type ProcessHost } from '../models/process-host.ts'
import { schedulingLimits } from './scheduling-limits.ts'

/** Far more than any step takes: 512 prompt tokens of a 70B model on a few cores are minutes. */
const stallTimeoutMs = 300_000

/** What the words of `--speculate` come to, without and with a draft model. */
const mostGuesses = { off: [0, 0], auto: [15, 15], draft: [0, 15] } as const

/** The host of a model, with the settings that are for it; it starts at once. */
export function createHost (
  { id, root, draft, engine, capacity, toolDialect, answerLength }: PreparedModel, config: Config, logger: Logger, parkBytes: number, parkDirectory: string | null
): ProcessHost {
  return createProcessHost({
    id,
    root,
    toolDialect,
    answerLength,
    createdAt: Math.floor(Date.now() / 1000),
    spec: engine.backend === 'llama-cpp' && parkDirectory !== null
      ? { ...engine, options: { ...engine.options, parkDirectory } }
      : engine,
    scheduling: {
      ...schedulingLimits(config),
      policy: config.policy,
      mostGuesses: typeof config.speculate === 'number' ? config.speculate : mostGuesses[config.speculate][draft === null ? 0 : 1],
      parkBytes
    },
    queueTimeoutMs: config.queueTimeoutMs,
    stallTimeoutMs,
    threadPoolSize: threadPoolSize(engine.options.laneCount ?? 1, { isOnGpu: capacity.isOnGpu, cores: availableParallelism() }),
    logger: {
      trace: (details, message) => logger.trace(details, message),
      debug: (details, message) => logger.debug(details, message),
      info: (details, message) => logger.info(details, message),
      warn: (details, message) => logger.warn(details, message),
      error: (details, message) => logger.error(details, message)
    },
    logLevel: config.logLevel === 'fatal' ? 'silent' : config.logLevel
  })
}
