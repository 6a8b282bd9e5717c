import { parseOptions, type BenchOptions } from '../../src/bench/parse-options.ts'

/**
 * What `drawbridge bench` makes of its command line.
 * @throws StartupError for flags that it does not take.
 */
export function benchOptions (args: readonly string[]): BenchOptions {
  const command = parseOptions(args, {})
  if (command.type !== 'run') throw new RangeError(`A ${command.type} is no run`)
  return command.options
}
