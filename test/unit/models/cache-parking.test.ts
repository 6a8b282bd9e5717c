import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { prepareCacheParking } from '../../../src/models/cache-parking.ts'

describe('prepareCacheParking', () => {
  let folder: string
  const prepare = (parkCache: 'auto' | 'off' | number, models = 1, freeBytes = 8e9) =>
    prepareCacheParking({ parkCache, parkDir: folder }, models, freeBytes, (flag) => `--${flag}`)

  beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'drawbridge-parking-')) })
  afterEach(async () => { await rm(folder, { recursive: true, force: true }) })

  it('takes as much as is asked for', async () => {
    expect((await prepare(5_000_000, 2)).bytes).toBe(5_000_000)
  })

  it('shares out an eighth of the memory among the models, if there is room for that', async () => {
    const one = (await prepare('auto', 1, 8000)).bytes
    expect(one).toBe(1000)
    expect((await prepare('auto', 2, 8000)).bytes).toBe(500)
    expect((await prepare('auto', 1, -5)).bytes).toBe(0)
    // No disk has half of that free.
    expect((await prepare('auto', 1, 1e24)).bytes).toBeLessThan(1e23)
  })

  it('has no folder when nothing is to be saved', async () => {
    const parking = await prepare('off')
    expect(parking).toMatchObject({ bytes: 0 })
    expect(parking.directoryOf(0)).toBeNull()
  })

  it('gives each model a folder of its own, and removes them in the end', async () => {
    const parking = await prepare('auto', 2)
    const directories = [0, 1].map((model) => parking.directoryOf(model)!)
    expect(new Set(directories).size).toBe(2)
    for (const directory of directories) {
      await mkdir(directory)
      await writeFile(join(directory, '1.kv'), 'cache')
    }
    await parking.dispose()
    expect(await readdir(folder)).toEqual([])
  })

  it('removes what a killed server left, and nothing else', async () => {
    const { pid } = spawnSync(process.execPath, ['--eval', ''])
    const names = [
      `drawbridge-caches-${hostname()}-${pid}-0`, `drawbridge-caches-${hostname()}-${process.ppid}-0`,
      `drawbridge-caches-elsewhere-${pid}-0`, 'notes'
    ]
    for (const name of names) await mkdir(join(folder, name))
    await prepare('auto')
    expect((await readdir(folder)).toSorted()).toEqual(names.slice(1).toSorted())
  })

  it('removes what a killed server of the same process id left, as in containers that keep their name', async () => {
    const leftOver = join(folder, `drawbridge-caches-${hostname()}-${process.pid}-3`)
    await mkdir(leftOver)
    await writeFile(join(leftOver, '1.kv'), 'cache')
    await prepare('auto')
    expect(await readdir(folder)).toEqual([])
  })

  it('saves nothing where nobody asked for it and nothing can be written', async () => {
    const variable = process.env['TMPDIR']
    process.env['TMPDIR'] = join(folder, 'missing')
    try {
      expect(await prepareCacheParking({ parkCache: 'auto', parkDir: 'auto' }, 1, 8e9, (flag) => `--${flag}`)).toMatchObject({ bytes: 0 })
      await expect(prepareCacheParking({ parkCache: 5e6, parkDir: 'auto' }, 1, 8e9, (flag) => `--${flag}`)).rejects.toThrow(/--park-dir/)
    } finally {
      if (variable === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = variable
    }
  })

  it('says which folder cannot be used, and what to do', async () => {
    await rm(folder, { recursive: true })
    await expect(prepare('auto')).rejects.toThrow(/^--park-dir: caches cannot be saved in .*; give another folder, or --park-cache off$/)
  })
})
