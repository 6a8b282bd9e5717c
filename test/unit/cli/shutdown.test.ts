import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { drain, waitForSignal } from '../../../src/cli/shutdown.ts'

const never = new Promise<never>(() => {})

/** A host whose requests run until they are told to end. */
function busyHost (events: string[]) {
  return {
    close: () => {
      events.push('close')
      return never
    },
    destroy: async (error: Error) => { events.push(`destroy: ${error.message}`) }
  }
}

function rig () {
  const events: string[] = []
  return {
    events,
    isHandingOver: false,
    lifecycle: { startDraining: () => { events.push('not ready') }, handOver: async () => { events.push('handed over') } },
    app: {
      close: async () => { events.push('app closed') },
      server: { closeAllConnections: () => { events.push('connections closed') } }
    },
    logger: { warn: (details: object) => { events.push(`warned ${JSON.stringify(details)}`) } }
  }
}

describe('draining', () => {
  it('closes models before the HTTP server, and waits for both', async () => {
    const { events, ...parts } = rig()
    let finish = (): void => {}
    const host = {
      close: () => new Promise<void>((resolve) => { finish = resolve }).then(() => { events.push('model closed') }),
      destroy: async () => { events.push('destroyed') }
    }
    const drained = drain({ hosts: [host], drainTimeoutMs: 60_000, second: never, ...parts })
    await new Promise(setImmediate)
    expect(events).toEqual(['not ready'])
    finish()
    await drained
    expect(events).toEqual(['not ready', 'model closed', 'app closed'])
  })

  it('lets the last connection end before models where another process takes over, and refuses nothing', async () => {
    const { events, ...parts } = rig()
    const host = { close: async () => { events.push('model closed') }, destroy: async () => {} }
    await drain({ hosts: [host], drainTimeoutMs: 60_000, second: never, ...parts, isHandingOver: true })
    expect(events).toEqual(['handed over', 'model closed', 'app closed'])
  })

  it('ends what goes on for too long there as well', async () => {
    const { events, ...parts } = rig()
    let end = (): void => {}
    parts.lifecycle.handOver = () => new Promise((resolve) => { end = resolve })
    const host = {
      close: async () => { events.push('close') },
      destroy: async () => {
        events.push('destroyed')
        end()
      }
    }
    await drain({ hosts: [host], drainTimeoutMs: 1, second: never, ...parts, isHandingOver: true })
    expect(events.filter((event) => event !== 'close')).toEqual(['warned {"reason":"the time for running requests is up"}', 'destroyed', 'app closed'])
  })

  it('ends requests with an error when the time is up', async () => {
    const { events, ...parts } = rig()
    await drain({ hosts: [busyHost(events), busyHost(events)], drainTimeoutMs: 1, second: never, ...parts })
    expect(events).toEqual([
      'not ready', 'close', 'close',
      'warned {"reason":"the time for running requests is up"}',
      'destroy: The server shuts down: the time for running requests is up',
      'destroy: The server shuts down: the time for running requests is up',
      'app closed'
    ])
  })

  it('ends requests at once on a second signal', async () => {
    const { events, ...parts } = rig()
    await drain({ hosts: [busyHost(events)], drainTimeoutMs: 60_000, second: Promise.resolve('SIGINT'), ...parts })
    expect(events).toEqual([
      'not ready', 'close', 'warned {"reason":"a second signal came (SIGINT)"}',
      'destroy: The server shuts down: a second signal came (SIGINT)', 'app closed'
    ])
  })

  it('gives clients that have not sent or read everything no more time than the rest', async () => {
    const idle = { close: async () => {}, destroy: async () => {} }
    for (const endsBySignal of [false, true]) {
      const { events, ...parts } = rig()
      let signal = (_: NodeJS.Signals): void => {}
      const second = endsBySignal ? new Promise<NodeJS.Signals>((resolve) => { signal = resolve }) : never
      let close = (): void => {}
      parts.app.close = () => {
        signal('SIGTERM')
        return new Promise((resolve) => { close = resolve })
      }
      parts.app.server.closeAllConnections = () => {
        events.push('connections closed')
        close()
      }
      await drain({ hosts: [idle], drainTimeoutMs: endsBySignal ? 60_000 : 1, second, ...parts })
      expect(events).toEqual(['not ready', 'connections closed'])
    }
  })
})

describe('signals', () => {
  it('tells the first and a later second one, but not an echo', async () => {
    const source = new EventEmitter()
    let now = 1000
    const signals = waitForSignal(true, source, () => now)
    let second: string | null = null
    signals.second.then((signal) => { second = signal }, () => {})

    source.emit('SIGINT', 'SIGINT')
    expect(await signals.first).toBe('SIGINT')
    now += 499
    source.emit('SIGINT', 'SIGINT')
    await new Promise(setImmediate)
    expect(second).toBeNull()
    now += 1
    source.emit('SIGTERM', 'SIGTERM')
    expect(await signals.second).toBe('SIGTERM')
  })

  it('lets go of them', () => {
    const source = new EventEmitter()
    for (const [endsOnHangUp, names] of [[true, ['SIGHUP', 'SIGINT', 'SIGTERM']], [false, ['SIGINT', 'SIGTERM']]] as const) {
      const signals = waitForSignal(endsOnHangUp, source)
      expect(source.eventNames().sort()).toEqual(names)
      signals.dispose()
      expect(source.eventNames()).toEqual([])
    }
  })
})
