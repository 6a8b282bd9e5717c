import { didYouMean } from '../config/suggest.ts'
import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'
import { adaptersImport } from './adapters-import.ts'
import { adaptersInspect } from './adapters-inspect.ts'
import { adaptersList } from './adapters-list.ts'
import { adaptersLoad } from './adapters-load.ts'
import { adaptersUnload } from './adapters-unload.ts'

/** One of the commands under `drawbridge adapters`. */
export interface AdaptersCommand {
  /** What follows its name, and what it does: lines of the help. */
  readonly usage: string
  readonly summary: string
  /**
   * @param argv what follows its name
   * @returns the exit code
   */
  readonly run: (argv: readonly string[]) => Promise<number>
}

const commands: Readonly<Record<string, AdaptersCommand>> = {
  list: adaptersList,
  load: adaptersLoad,
  unload: adaptersUnload,
  inspect: adaptersInspect,
  import: adaptersImport
}

/**
 * Runs `drawbridge adapters`.
 * @returns the exit code.
 * @throws StartupError for wrong words, and adapters that cannot be used.
 */
export async function adaptersCommand ([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined || name === 'help' || name === '--help' || name === '-h' || rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(help())
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new StartupError(`There is no command "adapters ${name}"${didYouMean(name, Object.keys(commands))} (drawbridge adapters --help explains)`)
  try {
    return await command.run(rest)
  } catch (error) {
    if (error instanceof ServerError) throw new StartupError(error.message, { cause: error })
    if ((error as Partial<NodeJS.ErrnoException>).code?.startsWith('ERR_PARSE_ARGS') === true) {
      throw new StartupError(`${(error as Error).message} (drawbridge adapters --help explains)`, { cause: error })
    }
    throw error
  }
}

const help = (): string => `Usage: drawbridge adapters COMMAND

LoRA adapters: GGUF files, and folders as PEFT's save_pretrained writes them. docs/adapters.md says which can be used.

${Object.entries(commands).map(([name, { usage, summary }]) => `  ${name} ${usage}\n      ${summary}`).join('\n')}
`
