import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { localBuildFolder, noteProcessor } from '../../src/engine/llama-cpp/local-builds.ts'
import { patience } from '../support/patience.ts'
import { startServer } from '../support/server-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const packages = realpathSync(path.join(root, 'node_modules'))
const prebuilt = path.join(packages, '@node-llama-cpp', `linux-${process.arch}`, 'bins', `linux-${process.arch}`)

/** A copy of the program with bindings of its own, so that builds can be placed there without harm to others. */
let app = ''
let buildFolder = ''
beforeAll(() => {
  app = mkdtempSync(path.join(tmpdir(), 'drawbridge-native-'))
  cpSync(path.join(root, 'dist'), path.join(app, 'dist'), { recursive: true })
  cpSync(path.join(root, 'package.json'), path.join(app, 'package.json'))
  symlinkSync(path.join(root, 'models'), path.join(app, 'models'))
  const modules = path.join(app, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(packages)) {
    if (name !== 'node-llama-cpp') symlinkSync(path.join(packages, name), path.join(modules, name))
  }
  const bindings = path.join(packages, 'node-llama-cpp')
  cpSync(bindings, path.join(modules, 'node-llama-cpp'), {
    recursive: true,
    filter: (file) => !/^llama[\\/](llama\.cpp|localBuilds|gitRelease\.bundle|lastBuild\.json)/.test(path.relative(bindings, file))
  })
  buildFolder = localBuildFolder(false, path.join(modules, 'node-llama-cpp', 'llama', 'localBuilds'))
})
afterAll(() => { rmSync(app, { recursive: true }) })

/** The binaries that npm installed, in the place of a build of this machine's own. */
function placeBuild (): void {
  rmSync(buildFolder, { recursive: true, force: true })
  cpSync(prebuilt, path.join(buildFolder, 'Release'), { recursive: true })
  writeFileSync(path.join(buildFolder, 'buildDone.status'), '')
}

/** Starts the copy, asks it something, and gives its log. */
async function serve (flags: readonly string[] = []): Promise<{ readonly log: string, readonly fingerprint: string }> {
  await using server = await startServer(['--gpu', 'off', '--slots', '1', '--context-size', '512', ...flags],
    { XDG_CACHE_HOME: path.join(app, 'cache') }, null, path.join(app, 'dist/src/cli/main.js'))
  const response = await fetch(`${server.baseURL}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'drawbridge-demo', temperature: 0, max_tokens: 4, messages: [{ role: 'user', content: 'Hello!' }] })
  })
  const answer = await response.json() as { choices: { message: { content: string } }[], system_fingerprint: string }
  expect(answer.choices[0]?.message.content).not.toBe('')
  // It is announced once it is known to be ready, which a client may find out sooner.
  await expect.poll(() => server.output(), patience).toMatch(/cpu, (?:native build|prebuilt)/)
  return { log: server.output(), fingerprint: answer.system_fingerprint }
}

describe.runIf(process.platform === 'linux')('a native build', () => {
  it('is used when it works, and left out by --native-build off', async () => {
    placeBuild()
    const native = await serve()
    expect(native.log).toContain('cpu, native build')
    expect(native.log).not.toContain('is not used')
    expect(readdirSync(path.join(app, 'cache/drawbridge/native-build'))).toHaveLength(1)

    const prebuilt = await serve(['--native-build', 'off'])
    expect(prebuilt.log).toContain('cpu, prebuilt')
    expect(prebuilt.fingerprint).not.toBe(native.fingerprint)
  })

  it('that cannot be loaded costs a sentence in the log, not the server', async () => {
    placeBuild()
    writeFileSync(path.join(buildFolder, 'Release', 'llama-addon.node'), 'this is no library')
    const { log } = await serve()
    expect(log).toMatch(/the native build of llama\.cpp is not used, because [^"]+; npm run build:native builds it anew/)
    expect(log).toContain('cpu, prebuilt')
  })

  it('that lacks a part costs a sentence in the log, not the server', async () => {
    placeBuild()
    const part = readdirSync(path.join(buildFolder, 'Release')).find((name) => name.startsWith('libllama.')) ?? ''
    rmSync(path.join(buildFolder, 'Release', part))
    const { log } = await serve()
    expect(log).toContain('is not used, because')
    expect(log).toContain('cpu, prebuilt')
  })

  it('for another processor is not even loaded', async () => {
    placeBuild()
    noteProcessor(buildFolder, { architecture: process.arch, model: 'another', features: ['one-that-no-processor-has'] })
    const { log } = await serve()
    expect(log).toContain('it was made for a processor with one-that-no-processor-has, which this one does not have')
    expect(log).toContain('cpu, prebuilt')
  })

  it('that is being compiled is not waited for', async () => {
    placeBuild()
    rmSync(path.join(buildFolder, 'buildDone.status'))
    const { log } = await serve()
    expect(log).not.toContain('is not used')
    expect(log).toContain('cpu, prebuilt')
  })
})
