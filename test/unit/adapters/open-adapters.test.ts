import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openAdapters } from '../../../src/adapters/open-adapters.ts'
import { prepareAny } from '../../../src/adapters/prepare-any.ts'
import { type Config, configSchema } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load-config.ts'
import { readFlags } from '../../../src/config/read-flags.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import type { ModelHost } from '../../../src/models/model-host.ts'
import { neverAborted } from '../../support/generation.ts'

let directory = ''
const closers: (() => Promise<void>)[] = []
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-open-')) })
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  rmSync(directory, { recursive: true, force: true })
})

function put (name: string, content = 'x'): string {
  const file = path.join(directory, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

async function open (models: readonly string[], config: Partial<Config>) {
  const engine = new Set<string>()
  const logged: string[] = []
  const hosts = models.map((id) => ({
    id,
    root: `/models/${id}`,
    ready: async () => {},
    inference: {
      loadAdapter: async (key: string) => { engine.add(`${id} ${key}`) },
      unloadAdapter: async (key: string) => { engine.delete(`${id} ${key}`) }
    }
  }))
  const log = (details: object, message: string): void => { logged.push(`${message} ${JSON.stringify(details)}`) }
  const opened = openAdapters({
    config: { ...configSchema.parse({}), ...config },
    catalogue: createModelCatalogue(hosts as unknown as ModelHost[]),
    models: hosts.map((host) => ({ host, paths: [], prepare: prepareAny })),
    logger: { info: log, warn: log },
    sourceOf: (flag) => `--${flag}`,
    environment: {}
  })
  closers.push(async () => await opened.close())
  const { configured } = await opened.start()
  const { library } = opened
  const settled = async (): Promise<void> => {
    for (const registry of library.registries) {
      while (registry.list().some(({ state }) => state === 'fetching' || state === 'checking' || state === 'loading')) await registry.changed(neverAborted)
    }
  }
  return {
    ...opened,
    configured,
    engine,
    logged,
    settled,
    load: async (name: string, reference: string, model?: string) => await library.load({ name, reference, model, ifExists: 'refuse' }, neverAborted)
  }
}

const adaptersOf = (...texts: readonly string[]) => loadConfig(readFlags(texts.flatMap((text) => ['--adapter', text])).settings, {}).config.adapters

describe('configured adapters', () => {
  it('belong to the only model, or to the one that is named', async () => {
    const file = put('a.gguf')
    const one = await open(['base'], { adapters: adaptersOf(`pirate=${file}`, `team:pirate=${file}@0.5`) })
    await one.configured
    expect(one.library.list().map(({ name, model, scale, origin }) => [name, model, scale, origin])).toEqual([['pirate', 'base', 1, 'option'], ['team:pirate', 'base', 0.5, 'option']])
    const two = await open(['qwen:7b', 'llama'], { adapters: [...adaptersOf(`qwen:7b:pirate=${file}`), { ...adaptersOf(`pirate=${file}`)[0]!, model: 'llama' }] })
    await two.configured
    expect([...two.engine].sort()).toEqual(['llama pirate#1', 'qwen:7b pirate#1'])
  })

  it.each([
    ['pirate', null, 'The adapter "pirate" (--adapter) does not say for which model it is; write MODEL:pirate with one of "a", "b"'],
    ['pirate', 'c', 'The adapter "pirate" (--adapter) is for the model "c", but there are only "a", "b"'],
    ['a:b', null, 'The adapter "b" (--adapter) has the name of a model; give it another one'],
    ['a:x#1', null, 'The adapter\'s name "x#1" (--adapter) must be 1 to 128 letters']
  ])('are refused when nobody knows whose they are: %s of %s', async (name, model, message) => {
    await expect(open(['a', 'b'], { adapters: [{ ...adaptersOf('x=y')[0]!, name, model }] })).rejects.toThrow(message)
  })

  it('that cannot be had say so', async () => {
    const { configured } = await open(['base'], { adapters: adaptersOf(`pirate=${directory}/none.gguf`) })
    await expect(configured).rejects.toThrow(`The adapter pirate (--adapter) could not be loaded: No adapter found for ${directory}/none.gguf`)
  })
})

describe('an adapter folder', () => {
  it('has a folder for each of several models', async () => {
    put('dir/a/pirate.gguf')
    put('dir/stray.gguf')
    const { engine, settled, logged } = await open(['a', 'b'], { adapterDir: path.join(directory, 'dir') })
    // What was written a moment ago is looked at a second time.
    while (engine.size === 0) await new Promise((resolve) => { setTimeout(resolve, 10) })
    await settled()
    expect([...engine]).toEqual(['a pirate#1'])
    expect(logged.filter((line) => line.includes('cannot be read'))).toEqual([])
  })
})

describe('what the API has loaded', () => {
  it('comes back, unless it was unloaded, is configured by now, or belongs to a model that is gone', async () => {
    const stateFile = path.join(directory, 'state.json')
    const config = { adapterDir: path.join(directory, 'dir'), adapterState: stateFile }
    const file = put('dir/.files/a.gguf')
    const lost = put('dir/.files/lost.gguf')
    {
      const { load, library, close } = await open(['base', 'other'], config)
      for (const name of ['kept', 'unloaded', 'configured']) await load(name, file, 'base')
      await load('missing', lost, 'base')
      await load('homeless', '.files/a.gguf', 'other')
      await library.unload('unloaded')
      await close()
      closers.splice(0)
    }
    rmSync(lost)
    const { library, settled, logged, configured } = await open(['base'], { ...config, adapters: adaptersOf(`configured=${file}`) })
    await configured
    await settled()
    expect(library.list().map(({ name, state, origin }) => [name, state, origin]).sort()).toEqual([
      ['configured', 'ready', 'option'], ['kept', 'ready', 'api'], ['missing', 'failed', 'api']
    ])
    expect(logged.filter((line) => line.startsWith('remembered adapter')).map((line) => line.split(' {')[0])).toEqual([
      'remembered adapter is configured by now', 'remembered adapter belongs to a model that is not served'
    ])
  })

  it('is not forgotten when the server ends before it is back', async () => {
    const stateFile = path.join(directory, 'state.json')
    const config = { adapterDir: path.join(directory, 'dir'), adapterState: stateFile }
    put('dir/.files/a.gguf')
    const first = await open(['base'], config)
    await first.load('kept', '.files/a.gguf')
    await first.close()
    const before = readFileSync(stateFile, 'utf8')
    await (await open(['base'], config)).close()
    expect(readFileSync(stateFile, 'utf8')).toBe(before)
  })

  it('leaves no copies behind', async () => {
    const { load, close, library } = await open(['base'], { adapterDir: directory })
    const seen: string[] = []
    put('a.gguf')
    await load('kept', 'a.gguf')
    expect(library.find('kept').reference).toBe(path.join(directory, 'a.gguf'))
    const { readdirSync } = await import('node:fs')
    for (const name of readdirSync(tmpdir())) if (name.includes(`-${process.pid}-`) && name.startsWith('drawbridge-adapters-')) seen.push(path.join(tmpdir(), name))
    expect(seen.length).toBeGreaterThan(0)
    await close()
    expect(seen.filter((folder) => existsSync(folder))).toEqual([])
  })
})

describe('configured adapters that change while the server runs', () => {
  it('are loaded, replaced and unloaded, each by itself', async () => {
    const [a, b, c] = [put('a.gguf'), put('b.gguf'), put('c.gguf')]
    const one = await open(['base'], { adapters: adaptersOf(`stays=${a}`, `moves=${a}`, `goes=${a}`) })
    await one.configured
    await one.reconfigure(adaptersOf(`stays=${a}`, `moves=${b}@0.5`, `comes=${c}`))
    expect(one.library.list().map(({ name, generation, scale, reference }) => [name, generation, scale, path.basename(reference)])).toEqual([
      ['stays', 1, 1, 'a.gguf'], ['moves', 2, 0.5, 'b.gguf'], ['comes', 1, 1, 'c.gguf']
    ])
    expect([...one.engine].sort()).toEqual(['base comes#1', 'base moves#2', 'base stays#1'])
  })

  it('may be taken away before they are loaded, and that is no failure of the start', async () => {
    const one = await open(['base'], { adapters: adaptersOf(`x=${put('a.gguf')}`) })
    await one.reconfigure([])
    await one.configured
    expect(one.library.list()).toEqual([])
  })

  it('change nothing when one of them cannot be placed', async () => {
    const file = put('a.gguf')
    const two = await open(['one', 'two'], { adapters: adaptersOf(`one:x=${file}`) })
    await two.configured
    expect(() => two.check(adaptersOf(`three:y=${file}`))).toThrow('does not say for which model')
    await expect(two.reconfigure(adaptersOf(`three:y=${file}`))).rejects.toThrow('does not say for which model')
    expect(two.library.list().map(({ name }) => name)).toEqual(['x'])
  })

  it('leave one that cannot be loaded as it was, and try it again', async () => {
    const one = await open(['base'], { adapters: adaptersOf(`x=${put('a.gguf')}`) })
    await one.configured
    const missing = path.join(directory, 'late.gguf')
    await one.reconfigure(adaptersOf(`x=${missing}`))
    expect(one.library.list()).toMatchObject([{ name: 'x', generation: 1, state: 'ready' }])
    expect(one.logged.filter((line) => line.startsWith('configured adapter stays as it was'))).toHaveLength(1)
    put('late.gguf')
    await one.reconfigure(adaptersOf(`x=${missing}`))
    expect(one.library.list()).toMatchObject([{ name: 'x', reference: missing }])
    // And it is still theirs to remove.
    await one.reconfigure([])
    expect(one.library.list()).toEqual([])
  })

  it('do not touch what the API has brought', async () => {
    const file = put('a.gguf')
    const one = await open(['base'], { adapterDir: directory })
    await one.configured
    await one.settled()
    await one.load('mine', file)
    await one.reconfigure(adaptersOf(`mine=${put('other/b.gguf')}`))
    await one.reconfigure([])
    expect(one.library.list().find(({ name }) => name === 'mine')).toMatchObject({ origin: 'api', generation: 1, state: 'ready' })
    expect(one.logged.some((line) => line.startsWith('configured adapter is there already'))).toBe(true)
  })
})
