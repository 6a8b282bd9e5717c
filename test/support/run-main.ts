import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { neutralEnvironment } from './server-process.ts'

const mainFile = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))

/** Runs a command line of the built program to its end. */
export async function runMain (argv: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [mainFile, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...neutralEnvironment(), ...environment } })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  const [code] = await once(child, 'close') as [number | null]
  return { code, stdout, stderr }
}
