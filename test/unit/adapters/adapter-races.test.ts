import { readdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import type { AdapterRegistry } from '../../../src/adapters/adapter-registry.ts'
import { Random } from '../../../src/domain/random.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { neverAborted } from '../../support/generation.ts'
import { createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'

const names = ['a', 'b', 'c', 'd', 'e']
const room = { maxAdapters: 3, maxBytes: 40 }
/** What may come of an operation; anything else is a mistake. */
const expectedCodes = new Set(['adapter_conflict', 'adapter_not_found', 'model_not_found', 'invalid_adapter', 'request_aborted', 'adapter_limit', 'engine_crashed'])

/**
 * Users, requests and an engine process at once, in an order that only the seed decides: loads, replacements and unloads, requests that
 * take one or two adapters, end, and leave, and an engine that takes its time, refuses, and dies. A request that waits for ever is a mistake too.
 */
async function run (seed: number) {
  const random = new Random(seed)
  const problems: string[] = []
  const loaded = new Set<string>()
  const inUse = new Map<string, number>()
  /** A turn of the event loop or several: what waits longer is overtaken. */
  const pause = async (): Promise<void> => { for (let turns = random.below(4); turns > 0; turns--) await new Promise(setImmediate) }

  const check = (registry: AdapterRegistry): void => {
    const statuses = registry.list()
    // What is replaced is there beside its replacement until it is out.
    const beside = statuses.reduce((sum, { draining, next }) => sum + draining.length + (next === null ? 0 : 1), 0)
    if (loaded.size > room.maxAdapters + beside) problems.push(`${loaded.size} in memory: ${[...loaded].join()}`)
    for (const key of inUse.keys()) if (!loaded.has(key)) problems.push(`${key} is held, but not in memory`)
  }

  const scripted = await createScriptedRegistry({
    room,
    host: {
      id: 'base',
      ready: pause,
      inference: {
        loadAdapter: async (key, _file, signal) => {
          await pause()
          if (signal.aborted) throw new ServerError('request_aborted', 'The client has gone')
          if (random.below(12) === 0) throw new ServerError('engine_crashed', 'The engine process died')
          if (loaded.has(key)) problems.push(`${key} is loaded twice`)
          loaded.add(key)
          check(registry)
          await pause()
        },
        unloadAdapter: async (key) => {
          if (inUse.has(key)) problems.push(`${key} is unloaded while a request holds it`)
          await pause()
          if (!loaded.delete(key)) problems.push(`${key} is unloaded, but not in memory`)
          await pause()
        }
      }
    },
    now: () => performance.now()
  })
  const { registry, folder } = scripted

  const load = async (): Promise<void> => {
    const controller = new AbortController()
    const reference = `${5 + random.below(16)}${random.below(10) === 0 ? ' bad' : ''}`
    const loading = registry.load(loadRequest(names[random.below(names.length)]!, reference, {
      ifExists: random.below(3) === 0 ? 'refuse' : 'replace', keepsFailure: random.below(2) === 0, isPinned: random.below(12) === 0
    }), controller.signal)
    if (random.below(4) === 0) pause().then(() => controller.abort(), () => {})
    await loading
  }
  const request = async (): Promise<void> => {
    const controller = new AbortController()
    if (random.below(4) === 0) pause().then(() => controller.abort(), () => {})
    const first = random.below(names.length)
    const picks = [first, ...random.below(3) === 0 ? [(first + 1) % names.length] : []].map((index) => ({ name: names[index]!, scale: null }))
    const lease = await registry.acquire(picks, 60_000, controller.signal)
    const keys = lease.adapters.adapters.map(({ name, generation }) => `${name}#${generation}`)
    for (const key of keys) inUse.set(key, (inUse.get(key) ?? 0) + 1)
    check(registry)
    await pause()
    await pause()
    check(registry)
    for (const key of keys) {
      const left = (inUse.get(key) ?? 0) - 1
      if (left === 0) inUse.delete(key)
      else inUse.set(key, left)
    }
    lease.release()
  }
  const unload = async (): Promise<void> => { await registry.unload(names[random.below(names.length)]!) }

  const workers = Array.from({ length: 6 }, async () => {
    for (let step = 0; step < 40; step++) {
      const kind = random.below(10)
      const operation = kind < 3 ? load : kind < 9 ? request : unload
      await operation().catch((error: unknown) => {
        if (!(error instanceof ServerError) || !expectedCodes.has(error.code)) problems.push(`${operation.name}: ${String(error)}`)
      })
      await pause()
    }
  })
  await Promise.all(workers)
  for (const { name, state } of registry.list()) if (state !== 'draining') await registry.unload(name)
  // What was on its way back when it was unloaded goes a moment later.
  while (registry.list().length > 0) await registry.changed(neverAborted)
  const left = { loaded: [...loaded], residentBytes: registry.residentBytes }
  if (scripted.log.some(({ message }) => message === 'engine was not told to unload an adapter')) problems.push('unloadAdapter threw')
  await expect.poll(async () => await readdir(folder)).toEqual([])
  await scripted.dispose()
  return { problems, left, counts: registry.counts }
}

describe('a registry of which everybody wants something at once', () => {
  it.each(Array.from({ length: 20 }, (_, index) => index + 1))('never lets go what a request holds, keeps its limits, and leaves nothing behind (seed %i)', async (seed) => {
    const { problems, left, counts } = await run(seed)
    expect(problems).toEqual([])
    expect(left).toEqual({ loaded: [], residentBytes: 0 })
    // It has been worth it.
    expect(Math.min(counts.loads, counts.evictions, counts.unloads, counts.failures)).toBeGreaterThan(0)
  })
})
