import type { Engine } from '../engine/engine.ts'
import { ServerError } from '../domain/errors.ts'
import type { SequenceId } from '../domain/ids.ts'
import { EngineServer } from './engine-server.ts'
import { LocalInference } from './local.ts'
import { type EngineLoad, type EngineMessage, type LogLevel, PROTOCOL_VERSION, type ServerMessage } from './protocol.ts'

/*
 * The main module of an engine process. Its parent forks it, sends `load`, and talks the protocol with it from then on.
 *
 * Decodes are jobs of libuv's thread pool, whose size the parent has set to the number of lanes (`UV_THREADPOOL_SIZE` is
 * read once, at the first job). After loading, nothing here may use the pool for anything but steps, of which saving and restoring
 * caches is a part: no other files, no DNS, no asynchronous crypto. stdout belongs to nobody: all that is to be said goes over the channel, or to stderr when it is
 * broken.
 */

type Log = (level: LogLevel, details: object, message: string) => void

const levels: readonly (LogLevel | 'silent')[] = ['trace', 'debug', 'info', 'warn', 'error', 'silent']

function main (): void {
  if (process.send === undefined) {
    process.stderr.write('This is the engine process of Drawbridge; the server starts it.\n')
    process.exit(2)
  }
  process.title = 'drawbridge-engine'
  // Ctrl-C reaches all processes of a terminal. The parent decides: it drains first.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  // The parent is gone. Not `process.exit()`: destructors of native code would race with a decode under way.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))

  let server: EngineServer | null = null
  process.on('message', (message: ServerMessage) => {
    switch (message.type) {
      case 'load':
        serve(message.load).then((loaded) => { server = loaded }, leaveWith)
        break
      case 'close':
        server?.close().then(() => process.exit(0), leaveWith)
        break
      default:
        server?.take(message)
    }
  })
  send({ type: 'hello', version: PROTOCOL_VERSION })
}

/** The callback takes the error of a channel that broke; 'disconnect' deals with that. */
function send (message: EngineMessage, onSent: () => void = () => {}): void {
  process.send?.(message, undefined, undefined, onSent)
}

/** Tells the parent why and exits: before `ready` it is why the model cannot be loaded. */
function leaveWith (error: unknown): void {
  send({ type: 'failed', error: ServerError.from(error, 'engine_error').serialize() }, () => process.exit(1))
}

async function serve (load: EngineLoad): Promise<EngineServer> {
  const lowest = levels.indexOf(load.logLevel)
  const log: Log = (level, details, message) => {
    if (levels.indexOf(level) >= lowest) send({ type: 'log', level, details: plain(details), message })
  }
  let server: EngineServer | null = null
  const engine = await createEngine(load, log, (sequence, error) => server?.giveUp(sequence, error))
  try {
    for (const { key, file } of load.adapters) {
      await engine.loadAdapter(key, file, new AbortController().signal).catch((error: unknown) => {
        log('error', { adapter: key, file: file.path, error }, 'adapter could not be loaded')
      })
    }
    const inference = new LocalInference(engine, {
      ...load.scheduling,
      onStepLost: ({ id, lane, work }, error) => {
        log('error', { step: id, lane, sequences: work.map(({ sequence }) => sequence), error }, 'step lost')
      }
    })
    server = new EngineServer({ engine, inference, send })
    return server
  } catch (error) {
    await engine[Symbol.asyncDispose]()
    throw error
  }
}

/** Imported on demand: the fake engine runs where there are no native bindings. */
async function createEngine (
  { spec }: EngineLoad, log: Log, onStuck: (sequence: SequenceId, error: ServerError) => void
): Promise<Engine> {
  switch (spec.backend) {
    case 'llama-cpp': {
      const { createLlamaCppEngine } = await import('../engine/llama-cpp/llama-cpp-engine.ts')
      let lastPercent = -1
      return await createLlamaCppEngine({
        ...spec.options,
        onStuck,
        onProgress: (loaded) => {
          const percent = Math.floor(loaded * 100)
          if (percent === lastPercent) return
          lastPercent = percent
          send({ type: 'progress', loaded })
        },
        logger: {
          trace: (details, message) => log('trace', details, message),
          debug: (details, message) => log('debug', details, message),
          info: (details, message) => log('info', details, message),
          warn: (details, message) => log('warn', details, message),
          error: (details, message) => log('error', details, message)
        }
      })
    }
    case 'fake': {
      const { createFakeEngine } = await import('../engine/fake/fake-engine.ts')
      const { faults } = spec
      return createFakeEngine({
        ...spec.options,
        ...(faults === undefined
          ? {}
          : {
              faults: {
                ...faults,
                steps: new Map(faults.steps),
                // How a failed assertion of ggml ends.
                crash: () => process.kill(process.pid, 'SIGABRT')
              }
            })
      })
    }
  }
}

/** Errors have no enumerable members; without this they would arrive as `{}`. */
function plain (details: object): object {
  return Object.fromEntries(Object.entries(details).map(([name, value]: [string, unknown]) =>
    [name, value instanceof Error ? { message: value.message, stack: value.stack } : value]))
}

main()
