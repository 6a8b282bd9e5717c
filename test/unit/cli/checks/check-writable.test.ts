import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkWritable } from '../../../../src/cli/checks/check-writable.ts'

let directory: string
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-writable-')) })
afterEach(() => {
  chmodSync(directory, 0o700)
  rmSync(directory, { recursive: true })
})

describe('a place to write to', () => {
  it('is there, or can be made', () => {
    const file = path.join(directory, 'a')
    expect(checkWritable('audit log', file)).toEqual({ about: 'audit log', state: 'ok', text: `${file} can be made` })
    writeFileSync(file, '')
    expect(checkWritable('audit log', file)).toEqual({ about: 'audit log', state: 'ok', text: `${file} can be written` })
  })

  it.runIf(process.getuid?.() !== 0)('is not what another user alone may write', () => {
    chmodSync(directory, 0o500)
    expect(checkWritable('audit log', path.join(directory, 'a'))).toMatchObject({ state: 'problem', text: expect.stringContaining('cannot be written') as string })
  })
})
