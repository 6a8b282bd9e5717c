import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../../../../src/access/storage/open-database.ts'
import { userDataFolder } from '../../../../src/access/storage/user-data-folder.ts'

let root = ''
beforeEach(() => { root = mkdtempSync(path.join(tmpdir(), 'drawbridge-data-')) })
afterEach(() => {
  chmodSync(root, 0o700)
  rmSync(root, { recursive: true })
})

const open = async (dataDir: string, environment: NodeJS.ProcessEnv = {}, databaseUrl = 'off') => await openDatabase({
  config: { dataDir, databaseUrl }, logger: { warn: () => {} }, sourceOf: (flag) => `--${flag}`, environment, home: root
})

describe('the database', () => {
  it('is in the folder that is asked for, which is made', async () => {
    const folder = path.join(root, 'deep', 'data')
    const database = await open(folder)
    expect(await database?.query('SELECT count(*) AS count FROM drawbridge_api_keys')).toEqual([{ count: 0 }])
    await database?.close()
    expect(existsSync(path.join(folder, 'drawbridge.db'))).toBe(true)
  })

  it('is in the user\'s data folder where nobody says otherwise', async () => {
    await (await open('auto'))?.close()
    expect(existsSync(path.join(root, '.local/share/drawbridge/drawbridge.db'))).toBe(true)
    await (await open('auto', { XDG_DATA_HOME: path.join(root, 'xdg') }))?.close()
    expect(existsSync(path.join(root, 'xdg/drawbridge/drawbridge.db'))).toBe(true)
  })

  it('is none when it is off, or when nobody asked for one and there is no place for it', async () => {
    expect(await open('off')).toBeNull()
    writeFileSync(path.join(root, 'file'), '')
    const environment = { XDG_DATA_HOME: path.join(root, 'file') }
    expect(await open('auto', environment)).toBeNull()
    await expect(open(path.join(root, 'file', 'data'))).rejects.toThrow('(--data-dir) cannot be made: a part of its path is not a folder')
  })

  it('is not passed over when it is broken', async () => {
    const folder = path.join(root, '.local/share/drawbridge')
    mkdirSync(folder, { recursive: true })
    writeFileSync(path.join(folder, 'drawbridge.db'), 'this is no database, and long enough to be looked at'.repeat(100))
    await expect(open('auto')).rejects.toThrow('drawbridge.db (--data-dir) cannot be opened: file is not a database')
  })

  it('must answer when it is a server', async () => {
    await expect(open('auto', {}, 'postgres://nobody:secret@127.0.0.1:1/none')).rejects.toThrow(/^The database of --database-url cannot be used: .*ECONNREFUSED/)
    await expect(open('auto', {}, 'postgres://nobody:secret@127.0.0.1:1/none')).rejects.not.toThrow('secret')
  })
})

describe('the user\'s data folder', () => {
  it.each([
    [{}, '/home/a', '/home/a/.local/share/drawbridge'],
    [{ XDG_DATA_HOME: '/data' }, '/home/a', '/data/drawbridge'],
    [{ XDG_DATA_HOME: 'data' }, '/home/a', '/home/a/.local/share/drawbridge'],
    [{}, '', null]
  ])('of %o and %s is %s', (environment, home, expected) => {
    expect(userDataFolder(environment, home)).toBe(expected)
  })
})
