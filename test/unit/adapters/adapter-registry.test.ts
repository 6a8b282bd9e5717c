import { readdir } from 'node:fs/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { AdapterPick } from '../../../src/adapters/adapter-leases.ts'
import { neverAborted } from '../../support/generation.ts'
import { createGate, createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'

type Scripted = Awaited<ReturnType<typeof createScriptedRegistry>>

const disposers: (() => Promise<void>)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0)) await dispose() })

async function setUp (options: Parameters<typeof createScriptedRegistry>[0] = {}) {
  const scripted = await createScriptedRegistry(options)
  disposers.push(scripted.dispose)
  const { registry } = scripted
  return {
    ...scripted,
    load: async (name: string, reference = '10', changes: Parameters<typeof loadRequest>[2] = {}, signal = neverAborted) =>
      await registry.load(loadRequest(name, reference, changes), signal),
    acquire: async (...names: (string | AdapterPick)[]) => await registry.acquire(
      names.map((name) => typeof name === 'string' ? { name, scale: null } : name), 60_000, neverAborted),
    stateOf: (name: string) => registry.find(name)?.state ?? 'none'
  }
}

/** Waits until the registry's facts are what a test needs before its next move. */
async function untilFact ({ registry }: Pick<Scripted, 'registry'>, isSo: () => boolean): Promise<void> {
  while (!isSo()) await registry.changed(neverAborted)
}

describe('loading an adapter', () => {
  it('goes through its states to ready', async () => {
    const scripted = await setUp()
    const { registry, load, gates, log } = scripted
    const [fetching, checking, loading] = [createGate(), createGate(), createGate()]
    gates.set('fetch 10', fetching.opened).set('check 10', checking.opened).set('load pirate#1', loading.opened)
    const states: string[] = []
    const loaded = load('pirate')
    for (const [state, gate] of [['fetching', fetching], ['checking', checking], ['loading', loading]] as const) {
      await untilFact(scripted, () => registry.find('pirate')?.state === state)
      states.push(registry.find('pirate')?.state ?? '')
      gate.open()
    }
    expect(await loaded).toMatchObject({
      name: 'pirate', id: 0, model: 'base', state: 'ready', generation: 1, residentBytes: 10, inFlight: 0, reference: '10', error: null, facts: { rank: 8 }
    })
    expect(states).toEqual(['fetching', 'checking', 'loading'])
    expect(log.map(({ message }) => message)).toEqual(['adapter is being fetched', 'adapter ready'])
    expect(registry.counts).toMatchObject({ loads: 1, failures: 0 })
  })

  it('refuses a second adapter of the name, unless it is to replace the first', async () => {
    const { load, engine } = await setUp()
    await load('pirate')
    await expect(load('pirate', '20')).rejects.toMatchObject({ code: 'adapter_conflict', status: 409 })
    expect(await load('pirate', '20', { ifExists: 'replace' })).toMatchObject({ generation: 2, residentBytes: 20, id: 0 })
    expect(engine).toEqual(['load pirate#1', 'load pirate#2', 'unload pirate#1'])
  })

  it('is done one after the other for one name, and side by side for others', async () => {
    const scripted = await setUp()
    const { load, gates, fetched, registry } = scripted
    const gate = createGate()
    gates.set('fetch 10', gate.opened)
    const first = load('pirate', '10')
    const second = load('pirate', '20', { ifExists: 'replace' })
    await load('shout', '30')
    expect(fetched.toSorted()).toEqual(['10', '30'])
    gate.open()
    await Promise.all([first, second])
    expect(registry.find('pirate')).toMatchObject({ generation: 2, residentBytes: 20 })
  })

  it('replaces only the generation that was expected', async () => {
    const { load } = await setUp()
    await load('pirate', '10', { expectedGeneration: 0 })
    const replace = async (expectedGeneration: number) => await load('pirate', '20', { ifExists: 'replace', expectedGeneration })
    await expect(replace(0)).rejects.toMatchObject({ code: 'adapter_conflict', message: 'The adapter "pirate" was expected at generation 0, but it is at generation 1' })
    await expect(load('shout', '20', { ifExists: 'replace', expectedGeneration: 3 })).rejects.toMatchObject({ message: 'The adapter "shout" was expected at generation 3, but there is none of that name' })
    expect(await replace(1)).toMatchObject({ generation: 2 })
  })

  it('leaves nothing behind when it fails', async () => {
    const { load, registry, folder, engine, log } = await setUp()
    await expect(load('pirate', '10 bad')).rejects.toMatchObject({ code: 'invalid_adapter', message: 'The adapter 10 bad is bad' })
    await expect(load('pirate', '10 engine-refuses')).rejects.toMatchObject({ code: 'invalid_adapter' })
    expect(registry.list()).toEqual([])
    expect(await readdir(folder)).toEqual([])
    expect(engine).toEqual([])
    expect(registry.counts).toMatchObject({ loads: 0, failures: 2 })
    expect(log.filter(({ message }) => message === 'adapter could not be loaded').map(({ details }) => [details['state'], details['error']])).toEqual([
      ['failed', 'The adapter 10 bad is bad'], ['failed', 'The file is not a LoRA adapter of this model']
    ])
  })

  it('stays on the list with its reason where that is wanted, and requests are told', async () => {
    const { load, registry, acquire } = await setUp()
    await expect(load('pirate', '10 bad', { keepsFailure: true })).rejects.toThrow()
    expect(registry.find('pirate')).toMatchObject({ state: 'failed', error: 'The adapter 10 bad is bad', generation: 0 })
    await expect(acquire('pirate')).rejects.toMatchObject({ code: 'invalid_adapter', message: 'The adapter "pirate" could not be loaded: The adapter 10 bad is bad' })
    expect(await load('pirate', '10')).toMatchObject({ state: 'ready', error: null, generation: 1 })
  })

  it('leaves the old generation serving when the new one fails', async () => {
    const { load, registry, acquire } = await setUp()
    await load('pirate', '10', { scale: 0.5 })
    await expect(load('pirate', '20 bad', { ifExists: 'replace', scale: 2 })).rejects.toThrow()
    expect(registry.find('pirate')).toMatchObject({ state: 'ready', generation: 1, error: 'The adapter 20 bad is bad', reference: '10', scale: 0.5 })
    expect((await acquire('pirate')).adapters.key).toBe('pirate#1@0.5')
  })

  it('can be given up', async () => {
    const scripted = await setUp()
    const { load, gates, registry, folder } = scripted
    const gate = createGate()
    gates.set('check 10', gate.opened)
    const controller = new AbortController()
    const loading = load('pirate', '10', {}, controller.signal)
    await untilFact(scripted, () => registry.find('pirate')?.state === 'checking')
    controller.abort()
    gate.open()
    await expect(loading).rejects.toMatchObject({ code: 'request_aborted' })
    expect(registry.list()).toEqual([])
    expect(await readdir(folder)).toEqual([])
  })

  it('is given up when the adapter is unloaded meanwhile', async () => {
    const scripted = await setUp()
    const { load, gates, registry, acquire, loaded, folder } = scripted
    const gate = createGate()
    gates.set('load pirate#1', gate.opened)
    const results = Promise.allSettled([load('pirate'), acquire('pirate')])
    await untilFact(scripted, () => registry.find('pirate')?.state === 'loading' && registry.find('pirate')?.waiting === 1)
    await registry.unload('pirate')
    gate.open()
    expect(await results).toMatchObject([
      { reason: { code: 'adapter_conflict', message: 'The adapter "pirate" was unloaded while it was being loaded' } },
      { reason: { code: 'model_not_found' } }
    ])
    expect([...loaded]).toEqual([])
    expect(registry.residentBytes).toBe(0)
    expect(await readdir(folder)).toEqual([])
  })
})

describe('a request', () => {
  it('gets the adapter with its own scale, or that of the adapter', async () => {
    const { load, acquire, registry } = await setUp()
    await load('pirate', '10', { scale: 0.5 })
    await load('shout')
    const lease = await acquire('pirate', { name: 'shout', scale: 2 })
    expect(lease.adapters.key).toBe('pirate#1@0.5+shout#1@2')
    expect(registry.find('pirate')).toMatchObject({ inFlight: 1 })
    lease.release()
    lease.release()
    expect(registry.find('pirate')).toMatchObject({ inFlight: 0 })
    registry.setScale('pirate', 0)
    expect((await acquire('pirate')).adapters.key).toBe('')
  })

  it('waits for an adapter on its way', async () => {
    const scripted = await setUp()
    const { load, gates, acquire, registry } = scripted
    const gate = createGate()
    gates.set('fetch 10', gate.opened)
    const loading = load('pirate')
    const lease = acquire('pirate')
    await untilFact(scripted, () => registry.find('pirate')?.waiting === 1)
    gate.open()
    expect((await lease).adapters.key).toBe('pirate#1@1')
    await loading
    expect(registry.find('pirate')).toMatchObject({ waiting: 0, inFlight: 1 })
  })

  it('waits no longer than its queue timeout, nor for a client that left', async () => {
    const { load, gates, registry } = await setUp()
    const gate = createGate()
    gates.set('fetch 10', gate.opened)
    const loading = load('pirate')
    const pick = [{ name: 'pirate', scale: null }]
    await expect(registry.acquire(pick, 1, neverAborted)).rejects.toMatchObject({ code: 'queue_timeout', status: 503 })
    const controller = new AbortController()
    const waiting = registry.acquire(pick, 60_000, controller.signal)
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'request_aborted' })
    gate.open()
    await loading
    expect(registry.find('pirate')).toMatchObject({ waiting: 0, inFlight: 0 })
  })

  it('is refused when too many wait already', async () => {
    const scripted = await setUp({ maxWaiting: () => 2 })
    const { load, gates, acquire } = scripted
    const gate = createGate()
    gates.set('load pirate#1', gate.opened)
    const loading = load('pirate')
    const waiting = [acquire('pirate'), acquire('pirate')]
    await expect(acquire('pirate')).rejects.toMatchObject({ code: 'queue_full', status: 429, message: '2 requests wait for adapters to be loaded; the limit is 2 (--max-queue)' })
    gate.open()
    await loading
    await Promise.all(waiting)
    // Nobody waits any more.
    expect((await Promise.all([acquire('pirate'), acquire('pirate'), acquire('pirate')])).map(({ adapters }) => adapters.key)).toEqual(['pirate#1@1', 'pirate#1@1', 'pirate#1@1'])
    await expect(acquire('nobody')).rejects.toMatchObject({ code: 'model_not_found' })
  })

  it('keeps the generation that it began with', async () => {
    const scripted = await setUp()
    const { load, acquire, registry, engine } = scripted
    await load('pirate')
    const before = await acquire('pirate')
    await load('pirate', '20', { ifExists: 'replace' })
    const after = await acquire('pirate')
    expect([before.adapters.key, after.adapters.key]).toEqual(['pirate#1@1', 'pirate#2@1'])
    expect(registry.find('pirate')).toMatchObject({ generation: 2, inFlight: 2, residentBytes: 30, draining: [{ generation: 1, inFlight: 1, sizeBytes: 10 }] })
    before.release()
    await untilFact(scripted, () => registry.find('pirate')?.draining.length === 0)
    expect(engine).toEqual(['load pirate#1', 'load pirate#2', 'unload pirate#1'])
    expect(registry.find('pirate')).toMatchObject({ inFlight: 1, residentBytes: 20 })
  })

  it('is refused when it names what is not there', async () => {
    const { acquire } = await setUp()
    await expect(acquire('pirate')).rejects.toMatchObject({ code: 'model_not_found', status: 404 })
  })
})

describe('unloading', () => {
  it('drains: running requests end with the adapter, new ones are refused, and then its memory and its file are gone', async () => {
    const scripted = await setUp()
    const { load, acquire, registry, loaded, folder } = scripted
    await load('pirate')
    const lease = await acquire('pirate')
    expect(await registry.unload('pirate')).toMatchObject({ state: 'draining', inFlight: 1, generation: 1 })
    await expect(acquire('pirate')).rejects.toMatchObject({ code: 'model_not_found' })
    expect(registry.list()).toMatchObject([{ name: 'pirate', state: 'draining', residentBytes: 10 }])
    expect([...loaded]).toEqual(['pirate#1'])
    lease.release()
    await untilFact(scripted, () => registry.list().length === 0)
    expect([...loaded]).toEqual([])
    expect(registry.residentBytes).toBe(0)
    await expect.poll(async () => await readdir(folder)).toEqual([])
  })

  it('frees at once what nobody holds', async () => {
    const { load, registry, engine } = await setUp()
    await load('pirate')
    await registry.unload('pirate')
    expect(engine).toEqual(['load pirate#1', 'unload pirate#1'])
    expect(registry.residentBytes).toBe(0)
  })

  it('leaves room for another of the name, whose generation is a new one', async () => {
    const { load, acquire, registry } = await setUp()
    await load('pirate')
    const lease = await acquire('pirate')
    await registry.unload('pirate')
    expect(await load('pirate', '20')).toMatchObject({ generation: 2, id: 1, inFlight: 0 })
    lease.release()
    expect((await acquire('pirate')).adapters.key).toBe('pirate#2@1')
  })

  it('wants an adapter that is there, in the generation that was expected', async () => {
    const { load, registry } = await setUp()
    await expect(registry.unload('pirate')).rejects.toMatchObject({ code: 'adapter_not_found', status: 404 })
    await load('pirate')
    await expect(registry.unload('pirate', 2)).rejects.toMatchObject({ code: 'adapter_conflict' })
    expect(registry.find('pirate')).not.toBeNull()
  })
})

describe('room', () => {
  it('is as much as there is now', async () => {
    const room = { maxAdapters: 1, maxBytes: Infinity }
    const { load, acquire, stateOf, registry } = await setUp({ room })
    await load('pirate')
    room.maxAdapters = 2
    await load('poet')
    expect([stateOf('pirate'), stateOf('poet'), registry.maxAdapters]).toEqual(['ready', 'ready', 2])
    room.maxAdapters = 1
    // They stay until another one looks for room.
    expect([stateOf('pirate'), stateOf('poet')]).toEqual(['ready', 'ready'])
    await load('baker')
    expect([stateOf('pirate'), stateOf('poet'), stateOf('baker')]).toEqual(['evicted', 'evicted', 'ready'])
    await expect(acquire('pirate', 'poet')).rejects.toMatchObject({ code: 'adapter_limit' })
  })

  it('is made by evicting what nobody has asked for longest, and the next request brings it back', async () => {
    const { load, acquire, stateOf, registry, engine, fetched } = await setUp({ room: { maxAdapters: 2, maxBytes: Infinity } })
    await load('a')
    await load('b')
    ;(await acquire('a')).release()
    await load('c')
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['ready', 'evicted', 'ready'])
    const lease = await acquire('b')
    expect(lease.adapters.key).toBe('b#1@1')
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['evicted', 'ready', 'ready'])
    expect(engine).toEqual(['load a#1', 'load b#1', 'unload b#1', 'load c#1', 'unload a#1', 'load b#1'])
    expect(fetched).toHaveLength(3)
    expect(registry.counts.evictions).toBe(2)
  })

  it('is counted in bytes as well', async () => {
    const { load, stateOf, registry } = await setUp({ room: { maxAdapters: 10, maxBytes: 50 } })
    await load('a', '20')
    await load('b', '20')
    await load('c', '30')
    expect(['a', 'b', 'c'].map(stateOf)).toEqual(['evicted', 'ready', 'ready'])
    expect(registry.residentBytes).toBe(50)
    await expect(load('d', '51')).rejects.toMatchObject({ code: 'adapter_limit', status: 409 })
    expect(registry.residentBytes).toBe(50)
  })

  it('is never made of pinned adapters, nor of those that requests hold', async () => {
    const scripted = await setUp({ room: { maxAdapters: 2, maxBytes: Infinity } })
    const { load, acquire, stateOf, registry } = scripted
    await load('pinned', '10', { isPinned: true })
    await load('held')
    const lease = await acquire('held')
    const loading = load('new')
    await untilFact(scripted, () => registry.find('new')?.state === 'loading')
    expect(['pinned', 'held', 'new'].map(stateOf)).toEqual(['ready', 'ready', 'loading'])
    lease.release()
    await loading
    expect(['pinned', 'held', 'new'].map(stateOf)).toEqual(['ready', 'evicted', 'ready'])
    await registry.unload('new')
    await load('also pinned', '10', { isPinned: true })
    await expect(acquire('held')).rejects.toMatchObject({ code: 'adapter_limit' })
    await registry.unload('also pinned')
    expect((await acquire('held')).adapters.key).toBe('held#1@1')
  })

  it('is not needed twice by a replacement', async () => {
    const { load } = await setUp({ room: { maxAdapters: 1, maxBytes: 15 } })
    await load('a', '10')
    expect(await load('a', '15', { ifExists: 'replace' })).toMatchObject({ state: 'ready', residentBytes: 15 })
  })

  it('is not given twice to adapters that come at once', async () => {
    const scripted = await setUp({ room: { maxAdapters: 1, maxBytes: Infinity } })
    const { load, gates, registry, stateOf } = scripted
    const gate = createGate()
    gates.set('load a#1', gate.opened)
    const first = load('a')
    await untilFact(scripted, () => registry.residentBytes === 10)
    const second = load('b')
    await untilFact(scripted, () => stateOf('b') === 'loading')
    // Both have sought room by the time a third is refused for another reason.
    await expect(load('c', '10 bad')).rejects.toThrow()
    expect(registry.residentBytes).toBe(10)
    gate.open()
    await Promise.all([first, second])
    expect(['a', 'b'].map(stateOf)).toEqual(['evicted', 'ready'])
  })

  it('is not made of an adapter that a request takes while another one is let go', async () => {
    const scripted = await setUp({ room: { maxAdapters: 10, maxBytes: 20 } })
    const { load, acquire, gates, registry, stateOf, loaded } = scripted
    await load('a')
    await load('b')
    const gate = createGate()
    gates.set('unload a#1', gate.opened)
    const loading = load('big', '20')
    await untilFact(scripted, () => stateOf('a') === 'evicted')
    const lease = acquire('b')
    await untilFact(scripted, () => registry.find('b')?.waiting === 1 || registry.find('b')?.inFlight === 1)
    gate.open()
    await loading
    expect((await lease).adapters.key).toBe('b#1@1')
    expect(loaded.has('b#1')).toBe(true)
  })

  it.each([
    ['unloaded', async ({ registry }: Scripted) => await registry.unload('a'), []],
    ['replaced', async ({ registry }: Scripted) => await registry.load(loadRequest('a', '5', { ifExists: 'replace' }), neverAborted), ['a']]
  ] as const)('is made by evicting one that is %s meanwhile, of which nothing stays behind', async (_what, change, left) => {
    const scripted = await setUp({ room: { maxAdapters: 1, maxBytes: Infinity } })
    const { load, gates, registry, stateOf, loaded, folder } = scripted
    await load('a')
    const gate = createGate()
    gates.set('unload a#1', gate.opened)
    const loading = load('b')
    await untilFact(scripted, () => stateOf('a') === 'evicted')
    const changing = change(scripted)
    await untilFact(scripted, () => registry.list().some(({ name, draining, next }) => name === 'a' && (draining.length > 0 || next === 'loading')))
    expect(loaded.has('a#1')).toBe(true)
    gate.open()
    await Promise.all([changing, loading])
    expect(registry.list().map(({ name, draining }) => [name, draining.length])).toEqual([...left, 'b'].map((name) => [name, 0]))
    expect(loaded.has('a#1')).toBe(false)
    expect(registry.residentBytes).toBe(left.length === 0 ? 10 : 5)
    // Nobody waits for the disk.
    await expect.poll(async () => (await readdir(folder)).length).toBe(left.length + 1)
  })

  it('does not grow with replacements of what requests hold', async () => {
    const scripted = await setUp({ room: { maxAdapters: 1, maxBytes: Infinity } })
    const { load, acquire, registry } = scripted
    await load('a')
    const lease = await acquire('a')
    await load('a', '11', { ifExists: 'replace' })
    const third = load('a', '12', { ifExists: 'replace' })
    await untilFact(scripted, () => registry.find('a')?.next === 'loading')
    await expect(load('c', '10 bad')).rejects.toThrow()
    expect(registry.residentBytes).toBe(21)
    lease.release()
    expect(await third).toMatchObject({ generation: 3, residentBytes: 12 })
  })

  it('is waited for by requests that need several adapters without their blocking each other', async () => {
    const { load, acquire } = await setUp({ room: { maxAdapters: 2, maxBytes: Infinity } })
    for (const name of ['a', 'b', 'c', 'd']) await load(name)
    const pairs = [['a', 'b'], ['c', 'd'], ['b', 'c'], ['d', 'a']] as const
    const keys = await Promise.all(pairs.map(async (pair) => {
      const lease = await acquire(...pair)
      await Promise.resolve()
      lease.release()
      return lease.adapters.key
    }))
    expect(keys).toEqual(['a#1@1+b#1@1', 'c#1@1+d#1@1', 'b#1@1+c#1@1', 'a#1@1+d#1@1'])
    await expect(acquire('a', 'b', 'c')).rejects.toMatchObject({ code: 'adapter_limit' })
  })

  it('is not waited for by a request that holds it itself', async () => {
    const { load, acquire, registry, stateOf } = await setUp({ room: { maxAdapters: 10, maxBytes: 40 } })
    await load('pinned', '15', { isPinned: true })
    await load('a', '10')
    await load('b', '20')
    await expect(acquire('a', 'b')).rejects.toMatchObject({ code: 'adapter_limit', message: 'There is no room for the adapters "a", "b" at once beside those that are pinned' })
    expect(registry.find('a')?.inFlight).toBe(0)
    expect((await acquire('b')).adapters.key).toBe('b#1@1')
    expect(stateOf('a')).toBe('evicted')
  })

  it('that is too small for one is not kept from others', async () => {
    const scripted = await setUp({ room: { maxAdapters: 10, maxBytes: 40 } })
    const { load, acquire, stateOf, registry } = scripted
    await load('held', '20')
    const lease = await acquire('held')
    const large = load('large', '30')
    await untilFact(scripted, () => stateOf('large') === 'loading')
    expect(await load('small', '10')).toMatchObject({ state: 'ready' })
    lease.release()
    expect(await large).toMatchObject({ state: 'ready' })
    expect(registry.residentBytes).toBeLessThanOrEqual(40)
  })
})

describe('closing', () => {
  it('gives up what is on its way and what waits, and removes the files', async () => {
    const { load, acquire, gates, registry, folder } = await setUp()
    const gate = createGate()
    await load('there')
    gates.set('check 20', gate.opened)
    const loading = load('pirate', '20')
    const waiting = acquire('pirate')
    const results = Promise.allSettled([loading, waiting])
    const closed = registry.close()
    gate.open()
    await closed
    expect(await results).toMatchObject([{ reason: { code: 'server_draining' } }, { reason: { code: 'server_draining' } }])
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(load('late')).rejects.toMatchObject({ code: 'server_draining' })
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
