import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The compiled main module of a process: beside the calling code when that is compiled, in `dist/` when it runs from its source, as in
 * tests.
 * @param name its path in `src/`, without the extension.
 */
export function compiledModule (name: string): string {
  const here = fileURLToPath(import.meta.url)
  const source = join(dirname(here), '..')
  return join(extname(here) === '.js' ? source : join(source, '../dist/src'), `${name}.js`)
}
