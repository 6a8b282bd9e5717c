import { createProcessHost, type HostLogger, type ProcessHost, type ProcessHostOptions } from '../../src/models/process-host.ts'

export const silentHostLogger: HostLogger = {
  trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {}
}

/** A host of the fake engine in a real process, with everything quick; what a test is about, it says itself. */
export function createTestHost (options: Partial<ProcessHostOptions> = {}): ProcessHost {
  return createProcessHost({
    id: 'test',
    root: 'fake',
    createdAt: 0,
    spec: { backend: 'fake', options: {} },
    scheduling: { maxQueue: 64 },
    queueTimeoutMs: 30_000,
    stallTimeoutMs: 60_000,
    threadPoolSize: 1,
    logger: silentHostLogger,
    logLevel: 'error',
    restart: { initialDelayMs: 20, maxDelayMs: 200, stableAfterMs: 60_000 },
    ...options
  })
}
