import type { Option } from './options.ts'
import type { Setting, Settings } from './setting.ts'
import { parseArgs } from 'node:util'
import { StartupError } from '../domain/startup-error.ts'
import { options } from './options.ts'
import { didYouMean } from './suggest.ts'

export interface Flags {
  readonly settings: Settings
  /** Words that belong to no flag, in order; the first one is the command. */
  readonly words: readonly string[]
}

const flagOptions = options.filter(({ hasFlag }) => hasFlag)
const optionsByFlag = new Map(flagOptions.map((option) => [option.flag, option]))
const knownFlags = flagOptions.map((option) => `--${option.flag}`)

/**
 * Reads the command line. `--flag value`, `--flag=value` and `-f value` are the same; `--` ends the flags.
 * @throws StartupError for unknown flags, flags without a value, and flags given twice that take one value.
 */
export function readFlags (argv: readonly string[]): Flags {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: Object.fromEntries(flagOptions.map((option) => [option.flag, {
      type: option.kind === 'switch' ? 'boolean' as const : 'string' as const,
      ...(option.short === undefined ? {} : { short: option.short })
    }]))
  })

  const given = new Map<Option, string[]>()
  const words: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const option = optionsByFlag.get(token.name)
    if (option === undefined) {
      throw new StartupError(`There is no option ${token.rawName}${didYouMean(token.rawName, knownFlags)} (drawbridge --help lists them)`)
    }
    const values = given.get(option) ?? []
    if (values.length > 0 && !option.isRepeatable) throw new StartupError(`--${option.flag} is given twice, but takes one value`)
    values.push(valueOf(option, token.value, token.inlineValue === true))
    given.set(option, values)
  }

  const settings = new Map<string, Setting>()
  for (const [option, values] of given) {
    settings.set(option.flag, { option, values, source: `--${option.flag}`, directory: null })
  }
  return { settings, words }
}

function valueOf (option: Option, value: string | undefined, isInline: boolean): string {
  if (option.kind === 'switch') return value ?? 'true'
  // "--model --port 80" takes "--port" for the model; "--port -5" is a value, though a wrong one.
  const isFlag = !isInline && value !== undefined && /^-+[a-z]/i.test(value)
  if (value === undefined || isFlag) {
    throw new StartupError(`--${option.flag} needs a value: --${option.flag} ${option.placeholder}`)
  }
  if (value === '') throw new StartupError(`--${option.flag} is empty: --${option.flag} ${option.placeholder}`)
  return value
}
