import { parseArgs } from 'node:util'
import { z } from 'zod'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from '../models/byte-text.ts'
import { adapterSchema, clientOptions, clientUsage, createAdapterClient, readAnswer, type ShownAdapter } from './adapters-client.ts'
import type { AdaptersCommand } from './adapters.ts'

export const adaptersList: AdaptersCommand = {
  usage: `[--json] ${clientUsage}`,
  summary: 'Show the adapters of a running server, and their states',
  run: async (argv) => {
    const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { ...clientOptions, json: { type: 'boolean' } } })
    if (positionals[0] !== undefined) throw new StartupError('adapters list takes no words (drawbridge adapters --help explains)')
    const answer = await createAdapterClient(values).request('GET', '/v1/adapters')
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
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const lineOf = (row: readonly string[]): string => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd()
  return [titles, ...rows].flatMap((row, index) => {
    const error = adapters[index - 1]?.error ?? null
    return error === null ? [lineOf(row)] : [lineOf(row), `    ${error}`]
  }).join('\n') + '\n'
}
