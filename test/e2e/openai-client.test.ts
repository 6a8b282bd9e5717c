import { type ContractServer, type ContractServerOptions, describeOpenAiContract } from '../support/openai-client-suite.ts'
import { startServer } from '../support/server-process.ts'

/** The command line as users run it, with the demo model in an engine process. */
async function startDemoServer (options: ContractServerOptions): Promise<ContractServer> {
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

describeOpenAiContract('the demo model', startDemoServer)
