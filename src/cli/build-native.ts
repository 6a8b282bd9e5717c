import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, rmSync, statfsSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { readText } from '../domain/read-text.ts'
import { StartupError } from '../domain/startup-error.ts'
import { bindingsFolder, localBuildFolder, type LocalBuild, noteProcessor } from '../engine/llama-cpp/local-builds.ts'
import { describeProcessor } from '../engine/llama-cpp/processor.ts'
import { type BuildTrial, type BuildTrialResult, tryBuild } from '../engine/llama-cpp/try-build.ts'
import { demoModelPath } from '../models/model-source.ts'
import { checkBuildTools } from './native-build-tools.ts'

const help = `Usage: drawbridge build-native [--gpu off|cuda|vulkan|metal] [--check]

Compiles llama.cpp for exactly this machine: with all that its processor can do, and with OpenMP where the compiler has
it. The source comes with the package; nothing is downloaded but what cmake asks for. The server uses the result from its
next start on, if it works there. It lies in node_modules, so "npm ci" removes it.

  --gpu KIND    what it computes on beside the CPU (default off; metal on a Mac with Apple silicon)
  --check       only say whether it could be built
`

type BuildGpu = BuildTrial['gpu']
const gpus: readonly BuildGpu[] = ['off', 'cuda', 'vulkan', 'metal']

/**
 * Runs `drawbridge build-native`.
 * @returns the exit code.
 * @throws StartupError when it cannot be built here, or what was built does not work.
 */
export async function buildNativeCommand (argv: readonly string[]): Promise<number> {
  const { gpu, isCheck, isHelp } = parse(argv)
  if (isHelp) return say(help)
  const folder = bindingsFolder()
  const { found, problems } = checkBuildTools({
    platform: process.platform,
    versionLine,
    namedCompiler: process.env['CXX'],
    folder,
    isWritable: isWritable(path.join(folder, 'llama')),
    freeBytes: freeBytes(folder)
  })
  if (problems.length > 0) throw new StartupError(`llama.cpp cannot be built here. ${problems.join(' ')}`)
  say(`Found ${found.join(', ')}.\n`)
  if (isCheck) return say('llama.cpp can be built here.\n')

  const target = localBuildFolder(gpu === 'off' ? false : gpu satisfies LocalBuild['gpu'])
  say('Unpacking and compiling llama.cpp. On two cores this takes 5 to 10 minutes.\n')
  const start = performance.now()
  await runBindings(folder, ['source', 'download', '--skipBuild', '--noUsageExample'])
  await runBindings(folder, ['source', 'build', '--gpu', gpu === 'off' ? 'false' : gpu, '--noUsageExample'])
  say(`\nCompiled in ${Math.round((performance.now() - start) / 1000)} s: ${target}\n`)

  const local = await trials({ source: 'local', gpu, modelPath: demoModelPath(), threads: 1 }).catch((error: unknown) => {
    // Left there, every start of the server would try it again.
    rmSync(target, { recursive: true, force: true })
    throw new StartupError(`llama.cpp was compiled, but it does not work: ${error instanceof Error ? error.message : String(error)}; the build was removed`, { cause: error })
  })
  noteProcessor(target, describeProcessor(readText))
  const prebuilt = await trials({ source: 'prebuilt', gpu, modelPath: demoModelPath(), threads: 1 }).catch(() => null)
  say(`It works (${local.build}). The demo model, asked who it is, says: "${local.text}"\n` +
    `One thread of it decodes ${Math.round(local.tokensPerSecond)} tokens/s${prebuilt === null ? '' : `, and one of the prebuilt llama.cpp ${Math.round(prebuilt.tokensPerSecond)}`}, with that tiny model.\n` +
    'The server uses it from its next start on; --native-build off leaves it out.\n')
  return 0
}

function parse (argv: readonly string[]): { readonly gpu: BuildGpu, readonly isCheck: boolean, readonly isHelp: boolean } {
  try {
    const { values } = parseArgs({
      args: [...argv], options: { gpu: { type: 'string' }, check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }
    })
    const wanted = values.gpu ?? (process.platform === 'darwin' && process.arch === 'arm64' ? 'metal' : 'off')
    const gpu = gpus.find((name) => name === wanted)
    if (gpu === undefined) throw new Error(`--gpu is "${wanted}", but must be ${gpus.slice(0, -1).join(', ')} or ${gpus.at(-1)}`)
    return { gpu, isCheck: values.check === true, isHelp: values.help === true }
  } catch (error) {
    throw new StartupError(`${(error as Error).message} (drawbridge build-native --help explains)`, { cause: error })
  }
}

/** The fastest of a few, since other programs only ever slow one down. */
async function trials (trial: BuildTrial): Promise<BuildTrialResult> {
  let best = await tryBuild(trial)
  for (let repetition = 0; repetition < 2; repetition++) {
    const next = await tryBuild(trial)
    if (next.tokensPerSecond > best.tokensPerSecond) best = next
  }
  return best
}

/** Runs the bindings' own command line, whose output the user sees. */
async function runBindings (folder: string, argv: readonly string[]): Promise<void> {
  // Options from the environment would give the build another name, under which the server does not look.
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_LLAMA_CPP_|GGML_|DRAWBRIDGE_)/.test(name)))
  const child = spawn(process.execPath, [path.join(folder, 'dist', 'cli', 'cli.js'), ...argv], { stdio: 'inherit', env: environment })
  const [code, signal] = await once(child, 'close') as [number | null, NodeJS.Signals | null]
  if (code !== 0) throw new StartupError(`llama.cpp could not be compiled (node-llama-cpp ${argv.slice(0, 2).join(' ')} ended with ${signal ?? code}); the reason is in the lines above`)
}

function versionLine (program: string): string | null {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'ignore'] })
  return status === 0 ? stdout.split('\n', 1)[0] ?? '' : null
}

function isWritable (folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function freeBytes (folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

function say (text: string): number {
  process.stdout.write(text)
  return 0
}
