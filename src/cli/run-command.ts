import { loadConfig } from '../config/load-config.ts'
import { printConfig } from '../config/print-config.ts'
import { readFlags } from '../config/read-flags.ts'
import { didYouMean } from '../config/suggest.ts'
import { StartupError } from '../domain/startup-error.ts'
import { allowClosedOutput } from './closed-output.ts'
import { helpText } from './help.ts'
import { readVersion } from './version.ts'

/** A command gets its settings and gives the exit code. */
const commands = ['serve', 'check', 'bench', 'adapters', 'keys', 'build-native'] as const

/**
 * Runs a command line.
 * @returns the exit code: 0, or 1 after one sentence on stderr about what is wrong.
 */
export async function runCommand (argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    // These have flags of their own.
    if (argv[0] === 'bench') {
      allowClosedOutput()
      const { benchCommand } = await import('../bench/bench-command.ts')
      return await benchCommand(argv.slice(1), environment, readVersion())
    }
    if (argv[0] === 'adapters') {
      allowClosedOutput()
      const { adaptersCommand } = await import('./adapters.ts')
      return await adaptersCommand(argv.slice(1))
    }
    if (argv[0] === 'keys') {
      allowClosedOutput()
      const { keysCommand } = await import('./keys.ts')
      return await keysCommand(argv.slice(1), environment)
    }
    if (argv[0] === 'build-native') {
      const { buildNativeCommand } = await import('./build-native.ts')
      return await buildNativeCommand(argv.slice(1))
    }
    const { settings, words } = readFlags(argv)
    if (settings.has('help') || words[0] === 'help') return print(helpText(readVersion()))
    if (settings.has('version') || words[0] === 'version') return print(`${readVersion()}\n`)
    checkWords(words)

    const loaded = loadConfig(settings, environment)
    if (settings.has('print-config')) {
      for (const warning of loaded.warnings) process.stderr.write(`drawbridge: warning: ${warning}\n`)
      return print(printConfig(loaded))
    }
    if (words[0] === 'check') {
      allowClosedOutput()
      const { checkCommand } = await import('./check.ts')
      return await checkCommand(loaded, environment)
    }
    // Loaded late, so that --help does not wait for the server's parts.
    const { serve } = await import('./serve.ts')
    return await serve(loaded, () => loadConfig(settings, environment))
  } catch (error) {
    if (!(error instanceof StartupError)) throw error
    process.stderr.write(`drawbridge: ${error.message}\n`)
    return 1
  }
}

function checkWords ([command, ...rest]: readonly string[]): void {
  if (command !== undefined && command !== 'serve' && command !== 'check') {
    const hint = /\.gguf$/i.test(command) ? `; a model is given with --model ${command}` : didYouMean(command, commands)
    throw new StartupError(`There is no command "${command}"${hint} (drawbridge --help explains)`)
  }
  if (rest[0] !== undefined) {
    const hint = /\.gguf$/i.test(rest[0]) ? `; a model is given with --model ${rest[0]}` : ''
    throw new StartupError(`"${rest[0]}" belongs to no option${hint} (drawbridge --help explains)`)
  }
}

function print (text: string): number {
  allowClosedOutput()
  process.stdout.write(text)
  return 0
}
