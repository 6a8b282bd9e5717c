import { existsSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { presets } from './shape.ts'
import { matrixTypes } from './tensor-type.ts'
import { wholeNumber } from '../support/whole-number.ts'

export interface Options {
  readonly size: keyof typeof presets
  readonly type: keyof typeof matrixTypes
  readonly file: string
  readonly seed: number
  readonly contextSize: number
  /** Of a LoRA adapter for a model of that size; null for the model itself. */
  readonly adapterRank: number | null
}

export const help = `Usage: npm run bench:model -- [options]

Writes a GGUF model with random weights, or a LoRA adapter for one, for benchmarks without downloads. Speed does not depend on
the values of weights; answers are made-up words.

  --size SIZE     parameters: ${Object.keys(presets).join(', ')} (default 135M)
  --type TYPE     of the matrices: ${Object.keys(matrixTypes).join(', ')} (default q8_0)
  --out FILE      must not exist yet (default models/random-SIZE-TYPE.gguf, models/random-SIZE-adapter-SEED.gguf)
  --seed N        the same seed gives the same bytes (default 1)
  --context N     longest context that the file allows, in tokens (default 4096)
  --adapter RANK  write a LoRA adapter of this rank instead, for a model of that size
  --help`

/**
 * @returns null when help was asked for.
 * @throws Error that names the flag, for the person at the terminal.
 */
export function parseOptions (parameters: readonly string[]): Options | null {
  const values = parseFlags(parameters)
  if (values.help) return null
  const size = oneOf(values.size, '--size', presets)
  const type = oneOf(values.type, '--type', matrixTypes)
  const seed = wholeNumber(values.seed, '--seed', 2 ** 32 - 1)
  const adapterRank = values.adapter === undefined ? null : wholeNumber(values.adapter, '--adapter', 512)
  const file = values.out ?? `models/random-${size.toLowerCase()}-${adapterRank === null ? type : `adapter-${seed}`}.gguf`
  if (!file.toLowerCase().endsWith('.gguf')) throw new Error(`--out is "${file}", but must end with .gguf`)
  if (!existsSync(path.dirname(file))) throw new Error(`--out is "${file}", whose folder does not exist`)
  if (existsSync(file)) throw new Error(`--out is "${file}", which exists already; remove it or choose another name`)
  return {
    size,
    type,
    file,
    seed,
    contextSize: wholeNumber(values.context, '--context', 1_000_000),
    adapterRank
  }
}

function parseFlags (parameters: readonly string[]) {
  try {
    return parseArgs({
      args: [...parameters],
      options: {
        size: { type: 'string', default: '135M' },
        type: { type: 'string', default: 'q8_0' },
        out: { type: 'string' },
        seed: { type: 'string', default: '1' },
        context: { type: 'string', default: '4096' },
        adapter: { type: 'string' },
        help: { type: 'boolean', default: false }
      }
    }).values
  } catch (error) {
    // Node's message names the flag; what follows the first sentence is advice on `--`.
    const [sentence] = (error as Error).message.split(/\.\s/)
    throw new Error(sentence!.replace('argument is ambiguous', 'needs a value that does not begin with a dash'), { cause: error })
  }
}

/** In capitals or not. */
function oneOf<Choices extends object> (text: string, flag: string, choices: Choices): keyof Choices & string {
  const names = Object.keys(choices) as (keyof Choices & string)[]
  const found = names.find((name) => name.toLowerCase() === text.toLowerCase())
  if (found === undefined) throw new Error(`${flag} is "${text}", but must be one of ${names.join(', ')}`)
  return found
}
