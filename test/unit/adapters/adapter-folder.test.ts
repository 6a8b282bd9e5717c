import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { AdapterFolder, type AdapterFolderOptions } from '../../../src/adapters/adapter-folder.ts'
import { neverAborted } from '../../support/generation.ts'
import { createGate, createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'

const disposers: (() => Promise<void>)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0).reverse()) await dispose() })

/** A folder under a clock that stands still. A file's content is what the scripted registry makes of a reference: its size in bytes and words. */
async function setUp (options: Partial<AdapterFolderOptions> = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-folder-'))
  disposers.push(async () => rmSync(directory, { recursive: true, force: true }))
  const { readFileSync, writeFileSync: write } = await import('node:fs')
  const scripted = await createScriptedRegistry({
    fetch: async ({ reference }, { folder: into }) => {
      const file = path.join(into, `adapter ${readFileSync(reference, 'utf8')}.gguf`)
      write(file, '')
      return file
    }
  })
  disposers.push(scripted.dispose)
  const { registry, log } = scripted
  let now = Date.now() + 3_600_000
  const folder = new AdapterFolder({
    path: directory,
    registry,
    logger: { info: () => {}, warn: (details, message) => { log.push({ message, details: details as Record<string, unknown> }) } },
    mayBeMissing: false,
    isTaken: (name) => name === 'base',
    unloaded: new Map(),
    onChange: () => {},
    wallClock: () => now,
    ...options
  })
  disposers.push(async () => await folder.close())

  /** Files are an hour old unless they are said to be new. */
  const put = (name: string, content: string, isNew = false): void => {
    const file = path.join(directory, name)
    writeFileSync(file, content)
    if (isNew) utimesSync(file, now / 1000, now / 1000)
  }
  const rest = async (): Promise<void> => {
    while (registry.list().some(({ state, next }) => next !== null || state === 'fetching' || state === 'checking' || state === 'loading')) await registry.changed(neverAborted)
  }
  const look = async (): Promise<string[]> => {
    await folder.rescan()
    await rest()
    return registry.list().map(({ name, state, generation }) => `${name} ${state} ${generation}`).sort()
  }
  return { ...scripted, directory, folder, put, look, rest, pass: (milliseconds: number) => { now += milliseconds }, problems: () => log.filter(({ message }) => message !== 'adapter is being fetched') }
}

describe('a folder of adapters', () => {
  it('is what the registry has: files come, change and go', async () => {
    const { put, look, directory, registry, engine } = await setUp()
    put('pirate.gguf', '10')
    put('shout.GGUF', '20')
    expect(await look()).toEqual(['pirate ready 1', 'shout ready 1'])
    expect(registry.find('pirate')).toMatchObject({ origin: 'directory', reference: path.join(directory, 'pirate.gguf') })
    expect(await look()).toEqual(['pirate ready 1', 'shout ready 1'])
    put('pirate.gguf', '11')
    expect(await look()).toEqual(['pirate ready 2', 'shout ready 1'])
    rmSync(path.join(directory, 'pirate.gguf'))
    expect(await look()).toEqual(['shout ready 1'])
    put('pirate.gguf', '10')
    expect(await look()).toEqual(['pirate ready 3', 'shout ready 1'])
    // The first two come together, and the smaller file is not always read first.
    expect(engine.slice(0, 2).sort()).toEqual(['load pirate#1', 'load shout#1'])
    expect(engine.slice(2)).toEqual(['load pirate#2', 'unload pirate#1', 'unload pirate#2', 'load pirate#3'])
  })

  it('waits for files that are still written', async () => {
    const { put, look, pass, directory } = await setUp()
    put('pirate.gguf', '1', true)
    expect(await look()).toEqual([])
    pass(299)
    expect(await look()).toEqual([])
    appendFileSync(path.join(directory, 'pirate.gguf'), '0')
    put('pirate.gguf', '10', true)
    pass(1)
    expect(await look()).toEqual([])
    pass(300)
    expect(await look()).toEqual(['pirate ready 1'])
  })

  it('takes files at once that are renamed into it', async () => {
    const { put, look, directory } = await setUp()
    put('.pirate.gguf.part', '10')
    expect(await look()).toEqual([])
    renameSync(path.join(directory, '.pirate.gguf.part'), path.join(directory, 'pirate.gguf'))
    expect(await look()).toEqual(['pirate ready 1'])
  })

  it('takes PEFT folders, whose files it watches', async () => {
    const { put, look, directory, fetched, registry } = await setUp({})
    mkdirSync(path.join(directory, 'peft'))
    mkdirSync(path.join(directory, 'something'))
    put('peft/adapter_model.safetensors', '10')
    expect(await look()).toEqual([])
    put('peft/adapter_config.json', '{}')
    // The scripted fetch reads a file, so what is to be seen is that it was tried with the folder.
    expect(await look()).toEqual(['peft failed 0'])
    expect(registry.find('peft')?.reference).toBe(path.join(directory, 'peft'))
    expect(fetched).toEqual([])
  })

  it('tries a broken one once, until it changes', async () => {
    const { put, look, log, registry } = await setUp()
    put('pirate.gguf', '10 bad')
    expect(await look()).toEqual(['pirate failed 0'])
    await look()
    expect(log.filter(({ message }) => message === 'adapter could not be loaded')).toHaveLength(1)
    put('pirate.gguf', '10')
    expect(await look()).toEqual(['pirate ready 1'])
    put('pirate.gguf', '12 bad')
    expect(await look()).toEqual(['pirate ready 1'])
    expect(registry.find('pirate')?.error).toContain('is bad')
  })

  it.each([
    ['a name that no adapter can have', 'a#1.gguf', 'a#1', 'its name must be'],
    ['the name of a model', 'base.gguf', 'base', 'a model has its name'],
    ['the name of an adapter from elsewhere', 'mine.gguf', 'mine', 'there is one of its name already, from ']
  ])('leaves out %s, and says so once', async (_what, file, name, reason) => {
    const { put, look, registry, log, directory } = await setUp()
    put('.elsewhere', '10')
    await registry.load(loadRequest('mine', path.join(directory, '.elsewhere')), neverAborted)
    log.splice(0)
    const before = await look()
    put(file, '20')
    expect(await look()).toEqual(before)
    await look()
    expect(log).toEqual([{ message: 'adapter in the folder is left out', details: expect.objectContaining({ adapter: name, reason: expect.stringContaining(reason) }) }])
  })

  it('follows a file that an option or the API has named as well, without loading it twice', async () => {
    const { put, look, registry, directory, problems } = await setUp()
    put('pirate.gguf', '10')
    await registry.load(loadRequest('pirate', path.join(directory, 'pirate.gguf'), { scale: 0.5 }), neverAborted)
    expect(await look()).toEqual(['pirate ready 1'])
    put('pirate.gguf', '11')
    expect(await look()).toEqual(['pirate ready 2'])
    expect(registry.find('pirate')).toMatchObject({ origin: 'api', scale: 0.5, residentBytes: 11 })
    rmSync(path.join(directory, 'pirate.gguf'))
    // It is the API's to unload.
    expect(await look()).toEqual(['pirate ready 2'])
    expect(problems().map(({ message }) => message)).not.toContain('adapter in the folder is left out')
  })

  it('leaves adapters alone while it cannot be read', async () => {
    const { put, look, directory, log } = await setUp()
    put('pirate.gguf', '10')
    await look()
    renameSync(directory, `${directory}-away`)
    log.splice(0)
    expect(await look()).toEqual(['pirate ready 1'])
    expect(await look()).toEqual(['pirate ready 1'])
    expect(log.map(({ message }) => message)).toEqual(['adapter folder cannot be read'])
    renameSync(`${directory}-away`, directory)
    expect(await look()).toEqual(['pirate ready 1'])
  })

  it('leaves out what the API has unloaded, until its file changes', async () => {
    const one = await setUp()
    one.put('pirate.gguf', '10')
    await one.look()
    await one.registry.unload('pirate')
    expect(await one.look()).toEqual([])
    expect(one.folder.unloaded).toEqual([{ name: 'pirate', fingerprint: expect.any(String) }])
    const other = await setUp({ path: one.directory, unloaded: new Map(one.folder.unloaded.map(({ name, fingerprint }) => [name, fingerprint])) })
    expect(await other.look()).toEqual([])
    one.put('pirate.gguf', '11')
    expect(await other.look()).toEqual(['pirate ready 1'])
    expect(other.folder.unloaded).toEqual([])
  })

  it('does not take what it leaves out for unloaded', async () => {
    const { put, look, folder } = await setUp()
    put('base.gguf', '10')
    expect(await look()).toEqual([])
    expect(folder.unloaded).toEqual([])
  })

  it('forgets a file that goes before its load has had its turn', async () => {
    const { put, look, folder, directory, gates, registry, rest, log } = await setUp()
    const gate = createGate()
    const file = path.join(directory, 'pirate.gguf')
    gates.set('check 10', gate.opened)
    put('pirate.gguf', '10')
    await folder.rescan()
    put('pirate.gguf', '11 changed')
    await folder.rescan()
    rmSync(file)
    await folder.rescan()
    gate.open()
    await rest()
    // This one has its turn after them, and does nothing.
    await expect(registry.load(loadRequest('pirate', '10'), AbortSignal.abort())).rejects.toMatchObject({ code: 'request_aborted' })
    expect(await look()).toEqual([])
    expect(registry.list()).toEqual([])
    expect(log.flatMap(({ message, details }) => message === 'adapter could not be loaded' ? [details['error']] : [])).toContain('The adapter "pirate" was removed from the folder')
  })

  it('is watched from its start on', async () => {
    const { put, folder, registry } = await setUp()
    put('pirate.gguf', '10')
    await folder.start()
    while (registry.find('pirate')?.state !== 'ready') await registry.changed(neverAborted)
    put('shout.gguf', '10')
    while (registry.find('shout')?.state !== 'ready') await registry.changed(neverAborted)
    expect(registry.list()).toHaveLength(2)
  })
})
