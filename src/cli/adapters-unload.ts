import { parseArgs } from 'node:util'
import { StartupError } from '../domain/startup-error.ts'
import { clientOptions, clientUsage, createServerClient, readAnswer } from './server-client.ts'
import { adapterSchema } from './shown-adapter.ts'
import type { AdaptersCommand } from './adapters.ts'

export const adaptersUnload: AdaptersCommand = {
  usage: `NAME [--model MODEL] ${clientUsage}`,
  summary: 'Unload an adapter from a running server; answers that began with it end with it',
  run: async (argv) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...clientOptions, model: { type: 'string' } } })
    const [name, more] = positionals
    if (name === undefined || more !== undefined) throw new StartupError('adapters unload takes one name (drawbridge adapters --help explains)')
    const query = values.model === undefined ? '' : `?model=${encodeURIComponent(values.model)}`
    const adapter = readAnswer(adapterSchema, await createServerClient(values).request('DELETE', `/v1/adapters/${encodeURIComponent(name)}${query}`))
    const rest = adapter.in_flight === 0 ? '' : `; ${adapter.in_flight} ${adapter.in_flight === 1 ? 'request goes' : 'requests go'} on with it`
    process.stdout.write(`Unloaded "${adapter.name}" from ${adapter.model}${rest}.\n`)
    return 0
  }
}
