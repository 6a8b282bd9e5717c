import { parseArgs } from 'node:util'
import { z } from 'zod'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from '../models/byte-text.ts'
import { clientOptions, clientUsage, createServerClient, readAnswer } from './server-client.ts'
import { adapterSchema, type ShownAdapter } from './shown-adapter.ts'
import { alignedLines } from './aligned-lines.ts'
import type { AdaptersCommand } from './adapters.ts'

export const adaptersList: AdaptersCommand = {
  usage: `[--json] ${clientUsage}`,
  summary: 'Show the adapters of a running server, and their states',
  run: async (argv) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...clientOptions, json: { type: 'boolean' } } })
    if (positionals[0] !== undefined) throw new StartupError('adapters list takes no words (drawbridge adapters --help explains)')
    const answer = await createServerClient(values).request('GET', '/v1/adapters')
    const { data } = readAnswer(z.object({ data: z.array(adapterSchema) }), answer)
    process.stdout.write(values.json === true ? `${JSON.stringify(answer, null, 2)}\n` : adapterTable(data))
    return 0
  }
}

/** One adapter in each line, and why one failed below it. */
export function adapterTable (adapters: readonly ShownAdapter[]): string {
  if (adapters.length === 0) return 'There are no adapters.\n'
  const rows = adapters.map((adapter) => [
    String(adapter.id), adapter.name, adapter.model, adapter.state + (adapter.pinned ? ', pinned' : ''), String(adapter.generation), String(adapter.scale),
    adapter.rank === null ? '-' : String(adapter.rank), byteText(adapter.resident_bytes), String(adapter.in_flight), adapter.source
  ])
  const titles = ['id', 'name', 'model', 'state', 'generation', 'scale', 'rank', 'memory', 'in flight', 'source']
  return alignedLines([titles, ...rows]).flatMap((line, index) => {
    const error = adapters[index - 1]?.error ?? null
    return error === null ? [line] : [line, `    ${error}`]
  }).join('\n') + '\n'
}
