import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { readBaseModel } from '../adapters/files/base-model.ts'
import { convertPeft } from '../adapters/files/convert-peft.ts'
import { adapterRefusal } from '../adapters/files/refusal.ts'
import { fileErrorText } from '../domain/file-error-text.ts'
import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'
import { byteText } from '../models/byte-text.ts'
import type { AdaptersCommand } from './adapters.ts'
import { baseModelPaths } from './base-model-paths.ts'
import { untilInterrupted } from './until-interrupted.ts'

const limits = { maxRank: Infinity, maxSizeBytes: Infinity }

export const adaptersImport: AdaptersCommand = {
  usage: 'FOLDER --model REF --out FILE.gguf',
  summary: 'Make a GGUF of a PEFT folder for a model',
  run: async (argv) => {
    const { values, positionals } = parseArgs({
      args: [...argv], allowPositionals: true, options: { model: { type: 'string' }, out: { type: 'string' } }
    })
    const [folder, more] = positionals
    const { model, out } = values
    if (folder === undefined || more !== undefined || model === undefined || out === undefined) {
      throw new StartupError('adapters import takes one folder, --model REF and --out FILE.gguf (drawbridge adapters --help explains)')
    }
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) throw new StartupError(`${folder} is not a folder; adapters import takes one as PEFT saves it`)
    if (existsSync(out)) throw new StartupError(`--out ${out} exists already; remove it or give another name`)
    if (!existsSync(path.dirname(path.resolve(out)))) throw new StartupError(`--out ${out} cannot be written: there is no folder ${path.dirname(out)}`)
    const facts = await untilInterrupted(async (signal) => {
      const base = await readBaseModel(baseModelPaths(model))
      return await convertPeft(path.resolve(folder), out, { base, limits, refuse: adapterRefusal(folder), signal })
    }).catch((error: unknown) => {
      if (error instanceof ServerError || error instanceof StartupError) throw error
      throw new StartupError(`--out ${out} cannot be written: ${fileErrorText(error)}`, { cause: error })
    })
    process.stdout.write(`Wrote ${out}: rank ${facts.rank}, ${facts.targetCount} matrices, ${byteText(facts.sizeBytes)}.\n`)
    return 0
  }
}
