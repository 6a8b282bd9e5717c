import { expect } from 'vitest'
import { createFakeEngine, type FakeEngineOptions } from '../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../src/inference/local.ts'
import { startServer } from './server-process.ts'
import { buildTestApp, listen } from './test-app.ts'
import { createTestHost } from './test-host.ts'

/** A server to test, wherever it runs. */
export interface ContractServer extends AsyncDisposable {
  /** Without `/v1`. */
  readonly origin: string
  /** A name that its model answers to. */
  readonly model: string
}

export interface ContractServerOptions {
  readonly apiKey?: string
  readonly bodyLimitBytes?: number
  readonly slots?: number
  readonly maxQueue?: number
  readonly queueTimeoutMs?: number
}

export type StartContractServer = (options: ContractServerOptions) => Promise<ContractServer>

/** The whole path over the fake engine in this process: a listening server, its scheduler, no weights. */
export async function startFakeServer (options: ContractServerOptions, engineOptions: FakeEngineOptions = {}): Promise<ContractServer> {
  const engine = createFakeEngine({ stepMs: 1, slotsPerLane: options.slots ?? 4, contextSize: 2048, ...engineOptions })
  const inference = new LocalInference(engine, { maxQueue: options.maxQueue ?? 256 })
  const host = createTestHost(inference, { id: 'fake' })
  const { app } = await buildTestApp([host], {
    config: {
      apiKeys: options.apiKey === undefined ? [] : [options.apiKey],
      ...(options.bodyLimitBytes === undefined ? {} : { bodyLimit: options.bodyLimitBytes }),
      ...(options.queueTimeoutMs === undefined ? {} : { queueTimeoutMs: options.queueTimeoutMs })
    }
  })
  const { origin } = await listen(app)
  return {
    origin,
    model: 'fake',
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections()
      await app.close()
      await inference.destroy(new Error('The test is over'))
      expect(engine.violations).toEqual([])
    }
  }
}

/** The command line as users run it, with the demo model in an engine process. */
export async function startDemoServer (options: ContractServerOptions): Promise<ContractServer> {
  const flag = (name: string, value: string | number | undefined): string[] => value === undefined ? [] : [`--${name}`, String(value)]
  const server = await startServer([
    '--model', 'demo',
    ...flag('api-key', options.apiKey),
    ...flag('body-limit', options.bodyLimitBytes),
    ...flag('slots', options.slots),
    ...flag('max-queue', options.maxQueue),
    ...flag('queue-timeout', options.queueTimeoutMs)
  ])
  return {
    origin: server.origin,
    model: 'drawbridge-demo',
    [Symbol.asyncDispose]: async () => { await server[Symbol.asyncDispose]() }
  }
}
