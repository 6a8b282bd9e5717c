import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prepareAdapter } from '../../../src/adapters/files/prepare-adapter.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { Random } from '../../../src/domain/random.ts'
import { createMutants } from '../../support/adapter-mutants.ts'

const demo = join(import.meta.dirname, '../../../models/demo')
const options = {
  modelPaths: [join(demo, 'drawbridge-demo-q8_0.gguf')],
  limits: { maxRank: 64, maxSizeBytes: 1 << 24 },
  signal: new AbortController().signal
}

let directory = ''
beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'drawbridge-mutants-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

describe('files made of an adapter by changing something', () => {
  it.each([1, 2])('are refused, or taken where the change does not matter (seed %i)', async (seed) => {
    const mutants = createMutants(readFileSync(join(demo, 'adapters/pirate.gguf')), new Random(seed), 25)
    expect(mutants.length).toBeGreaterThanOrEqual(300)
    expect(mutants.filter(({ isValid }) => isValid).length).toBeGreaterThan(20)
    expect(mutants.filter(({ isValid }) => !isValid).length).toBeGreaterThan(200)
    const path = join(directory, 'mutant.gguf')
    const memoryBefore = process.memoryUsage().rss
    const wrong: string[] = []
    for (const { description, bytes, isValid } of mutants) {
      writeFileSync(path, bytes)
      const error = await prepareAdapter(path, { ...options, folder: directory }).then(() => null, (reason: unknown) => reason)
      if (isValid !== (error === null)) wrong.push(`${description}: ${String(error)}`)
      if (error !== null && !(error instanceof ServerError && error.code === 'invalid_adapter')) wrong.push(`${description}: not the right kind of error: ${String(error)}`)
    }
    expect(wrong).toEqual([])
    // A single count of those that were claimed would come to gigabytes.
    expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(512 << 20)
  })
})
