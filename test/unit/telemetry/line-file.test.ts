import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LineFile, type LineFileOptions } from '../../../src/telemetry/line-file.ts'
import { patience } from '../../support/patience.ts'

let folder: string
let told: [object, string][]
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'drawbridge-lines-'))
  told = []
})
afterEach(async () => await rm(folder, { recursive: true, force: true }))

const at = (name: string): string => path.join(folder, name)
const createFile = (name: string, options: Partial<LineFileOptions> = {}): LineFile => new LineFile({
  path: at(name),
  maxWaitingBytes: 1000,
  isDurable: true,
  retryMs: 1,
  logger: { info: (...line) => { told.push(line) }, error: (...line) => { told.push(line) } },
  ...options
})
const linesOf = async (name: string): Promise<unknown[]> => (await readFile(at(name), 'utf8')).split('\n').filter(Boolean).map((line) => JSON.parse(line) as unknown)

describe('a file of lines', () => {
  it('grows, in order, and only its user may read it', async () => {
    const first = createFile('log')
    await first.check('--audit-log')
    for (let count = 0; count < 5; count++) first.append({ count })
    await first.close(60_000)
    const second = createFile('log')
    second.append({ count: 5, text: 'a\nb' })
    await second.close(60_000)
    expect(await linesOf('log')).toEqual([...[0, 1, 2, 3, 4].map((count) => ({ count })), { count: 5, text: 'a\nb' }])
    expect((await stat(at('log'))).mode & 0o777).toBe(0o600)
    expect(told).toEqual([])
  })

  it('may be renamed or cut by whoever rotates logs', async () => {
    const file = createFile('log')
    file.append({ count: 1 })
    await vi.waitFor(async () => expect(await linesOf('log')).toHaveLength(1), patience)
    await rename(at('log'), at('log.1'))
    file.append({ count: 2 })
    await vi.waitFor(async () => expect(await linesOf('log')).toEqual([{ count: 2 }]), patience)
    expect(await linesOf('log.1')).toEqual([{ count: 1 }])
    await truncate(at('log'))
    file.append({ count: 3 })
    await file.close(60_000)
    expect(await linesOf('log')).toEqual([{ count: 3 }])
  })

  it('waits while it cannot be written, within a limit, and tells how many lines that cost', async () => {
    await mkdir(at('away'))
    const file = createFile('away/log', { maxWaitingBytes: 25 })
    await rm(at('away'), { recursive: true })
    file.append({ count: 1 })
    await vi.waitFor(() => expect(told).toHaveLength(1), patience)
    // Each line has 12 bytes.
    for (let count = 2; count < 6; count++) file.append({ count })
    await mkdir(at('away'))
    await vi.waitFor(() => expect(told).toHaveLength(2), patience)
    expect(await linesOf('away/log')).toEqual([{ count: 1 }, { count: 2 }, { time: expect.any(String), event: 'lines-lost', count: 3 }])
    expect(told.map(([, message]) => message)).toEqual(['lines cannot be written to the file, and wait', 'lines are written to the file again'])
  })

  it('does not hold up the end when it cannot be written', async () => {
    const file = createFile('nowhere/log')
    file.append({ count: 1 })
    await file.close(60_000)
    expect(told).toEqual([[{ file: at('nowhere/log'), reason: 'it does not exist' }, 'lines cannot be written to the file, and wait']])
  })

  it.each([
    ['has no folder', 'nowhere/log', 'its folder does not exist'],
    ['is a folder', '.', 'it is a folder']
  ])('is refused at the start when it %s', async (_what, name, reason) => {
    await expect(createFile(name).check('--audit-log')).rejects.toThrow(`The file ${at(name)} (--audit-log) cannot be written: ${reason}`)
  })

  it.skipIf(process.getuid?.() === 0)('is refused at the start when this user may not write it', async () => {
    await chmod(folder, 0o500)
    await expect(createFile('log').check('DRAWBRIDGE_AUDIT_LOG')).rejects.toThrow('(DRAWBRIDGE_AUDIT_LOG) cannot be written: this user may not write it')
    await chmod(folder, 0o700)
  })
})
