import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { AdapterFacts } from '../adapters/adapter-facts.ts'
import { inspectAdapter } from '../adapters/files/inspect-adapter.ts'
import { prepareAdapter } from '../adapters/files/prepare-adapter.ts'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from '../models/byte-text.ts'
import type { AdaptersCommand } from './adapters.ts'
import { baseModelPaths } from './base-model-paths.ts'
import { untilInterrupted } from './until-interrupted.ts'

/** Whoever looks at a file on the command line has no limits. */
const limits = { maxRank: Infinity, maxSizeBytes: Infinity }

export const adaptersInspect: AdaptersCommand = {
  usage: 'FILE_OR_FOLDER [--model REF] [--json]',
  summary: 'Say what an adapter holds, and with --model whether it fits; REF is what drawbridge --model takes',
  run: async (argv) => {
    const { values, positionals } = parseArgs({
      args: [...argv], allowPositionals: true, options: { model: { type: 'string' }, json: { type: 'boolean' } }
    })
    const [file, more] = positionals
    if (file === undefined || more !== undefined) throw new StartupError('adapters inspect takes one file or folder (drawbridge adapters --help explains)')
    const { model } = values
    const facts = await untilInterrupted(async (signal) =>
      model === undefined ? await inspectAdapter(file, limits, signal) : await tryOn(file, baseModelPaths(model), signal))
    process.stdout.write(values.json === true
      ? `${JSON.stringify({ path: path.resolve(file), ...facts, fits: model ?? null }, null, 2)}\n`
      : table(facts, model))
    return 0
  }
}

/** A PEFT folder fits when a GGUF comes of it, which nobody keeps. */
async function tryOn (file: string, modelPaths: readonly string[], signal: AbortSignal): Promise<AdapterFacts> {
  const folder = await mkdtemp(path.join(tmpdir(), 'drawbridge-inspect-'))
  try {
    return (await prepareAdapter(file, { modelPaths, limits, folder, signal })).facts
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function table (facts: AdapterFacts, model: string | undefined): string {
  const rows = [
    ['format', facts.format === 'gguf' ? 'GGUF' : 'PEFT folder'],
    ['name', facts.name ?? '-'],
    ['architecture', facts.architecture ?? '- (PEFT folders do not say)'],
    ['rank', String(facts.rank)],
    ['alpha', String(facts.alpha)],
    ['matrices', String(facts.targetCount)],
    ['size', byteText(facts.sizeBytes)],
    ['fits', model ?? '- (--model REF compares it with a model)']
  ]
  return rows.map(([name = '', value = '']) => `${name.padEnd(14)}${value}\n`).join('')
}
