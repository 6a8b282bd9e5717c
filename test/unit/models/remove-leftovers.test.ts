import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { removeLeftovers } from '../../../src/models/remove-leftovers.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-leftovers-'))
afterAll(() => { rmSync(folder, { recursive: true }) })

it('removes the folders of servers that ended, not those of others whose names begin alike', async () => {
  const { pid } = spawnSync(process.execPath, ['--eval', ''])
  const uuid = 'd3b07384-d9a0-4c9b-8f3e-2f1a5c6e7b88'
  const left = [`it-a-${pid}-0`, `it-a-${pid}-${uuid}`, `it-a-${process.pid}-${uuid}`]
  // A server that runs; a host that is called "a-1"; what has no process id.
  const kept = [`it-a-${process.ppid}-${uuid}`, `it-a-1-${pid}-0`, `it-a-1-${pid}-${uuid}`, 'it-a-notes', `other-${pid}-0`]
  for (const name of [...left, ...kept]) mkdirSync(path.join(folder, name))
  await removeLeftovers(folder, 'it-a-')
  expect(readdirSync(folder).toSorted()).toEqual(kept.toSorted())
})
