import type { FastifyInstance } from 'fastify'
import { type AppParts, buildApp } from '../../src/app.ts'
import { type Config, configSchema } from '../../src/config/config.ts'
import { createModelCatalogue } from '../../src/models/catalogue.ts'
import type { ModelHost } from '../../src/models/model-host.ts'
import { createLogger } from '../../src/telemetry/logging.ts'

export interface TestApp {
  readonly app: FastifyInstance
  /** What the app looks at; changing it is as if the settings were read again. */
  readonly live: { -readonly [Field in keyof Config]: Config[Field] }
  /** The lines of the log so far, parsed. */
  readonly log: () => Record<string, unknown>[]
  /** The log as text, for what must not be in it. */
  readonly logText: () => string
}

export interface TestAppOptions extends Partial<Omit<AppParts, 'config' | 'catalogue' | 'logger'>> {
  readonly config?: Partial<Config>
  /** `debug` unless said otherwise. */
  readonly logLevel?: Config['logLevel']
}

/** The real app over the given models, with its log in memory. */
export async function buildTestApp (hosts: readonly ModelHost[], { config = {}, logLevel = 'debug', ...parts }: TestAppOptions = {}): Promise<TestApp> {
  let text = ''
  const logger = createLogger(
    { level: logLevel, format: 'json', isTerminal: false, isColoured: false },
    { write: (line: string) => { text += line } }
  )
  const live = { ...configSchema.parse({}), ...config }
  const app = await buildApp({
    config: live,
    catalogue: createModelCatalogue(hosts),
    logger,
    ...parts
  })
  return {
    app,
    live,
    log: () => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>),
    logText: () => text
  }
}

/** Starts listening on a free loopback port. */
export async function listen (app: FastifyInstance): Promise<{ readonly origin: string, readonly port: number }> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a port')
  return { origin: `http://127.0.0.1:${address.port}`, port: address.port }
}
