import { parseArgs } from 'node:util'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from '../models/byte-text.ts'
import { clientOptions, clientUsage, createServerClient, readAnswer } from './server-client.ts'
import { adapterSchema } from './shown-adapter.ts'
import type { AdaptersCommand } from './adapters.ts'

export const adaptersLoad: AdaptersCommand = {
  usage: `NAME SOURCE [--model MODEL] [--scale N] [--pin] [--replace] ${clientUsage}`,
  summary: 'Load an adapter into a running server: a path in its adapter folder, https: or hf:',
  run: async (argv) => {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { ...clientOptions, model: { type: 'string' }, scale: { type: 'string' }, pin: { type: 'boolean' }, replace: { type: 'boolean' } }
    })
    const [name, source, more] = positionals
    if (name === undefined || source === undefined || more !== undefined) throw new StartupError('adapters load takes a name and a source (drawbridge adapters --help explains)')
    const { model, pin, replace = false } = values
    const answer = await createServerClient(values).request('POST', '/v1/adapters', {
      name,
      source,
      replace,
      ...(model === undefined ? {} : { model }),
      ...(values.scale === undefined ? {} : { scale: readScale(values.scale) }),
      ...(pin === undefined ? {} : { pinned: pin })
    })
    const adapter = readAnswer(adapterSchema, answer)
    process.stdout.write(`Loaded "${adapter.name}" for ${adapter.model}: generation ${adapter.generation}, ${byteText(adapter.bytes ?? 0)}.\n`)
    return 0
  }
}

function readScale (text: string): number {
  const scale = Number(text)
  if (text.trim() === '' || !Number.isFinite(scale)) throw new StartupError(`--scale is "${text}", but must be a number`)
  return scale
}
