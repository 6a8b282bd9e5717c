import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prepareAdapter } from '../../../src/adapters/files/prepare-adapter.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { Random } from '../../../src/domain/random.ts'
import { createMutants } from '../../support/adapter-mutants.ts'
import { isLongRun, runs } from '../../support/long-run.ts'

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
  it.each(isLongRun ? [1, 2, 3, 4, 5] : [1])('are refused, or taken where the change does not matter (seed %i)', async (seed) => {
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

describe('folders made of a PEFT adapter by changing its weights', () => {
  const peft = join(demo, 'adapters/pirate-peft')
  const intact = readFileSync(join(peft, 'adapter_model.safetensors'))
  const dataStart = 8 + Number(intact.readBigUInt64LE())
  const formatAt = intact.indexOf('"format":"pt"')

  /** In the header, only the text of what nobody reads may change, as long as it stays a text. */
  function isValidInHeader (position: number, byte: number): boolean {
    const isText = (position > formatAt && position < formatAt + 7) || position === formatAt + 10 || position === formatAt + 11
    return isText && byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5C
  }

  it('are refused, or taken where the change does not matter, and nothing half made stays', async () => {
    const random = new Random(4)
    const folder = join(directory, 'changed')
    const output = join(directory, 'output')
    cpSync(peft, folder, { recursive: true })
    mkdirSync(output)
    const tries = runs(150)
    const counts = { taken: 0, refused: 0 }
    const wrong: string[] = []
    for (let index = 0; index < tries; index++) {
      const bytes = Buffer.from(intact)
      // A quarter around the one text that may change, the others in header, data, and length.
      const position = [formatAt + random.below(13), random.below(dataStart), dataStart + random.below(intact.length - dataStart), random.below(intact.length)][index % 4] ?? 0
      const isCut = index % 12 === 3
      bytes[position] = (bytes[position] ?? 0) ^ (1 << random.below(8))
      const wordAt = dataStart + Math.floor((position - dataStart) / 4) * 4
      const isValid = !isCut && (position < dataStart ? isValidInHeader(position, bytes[position] ?? 0) : Number.isFinite(bytes.readFloatLE(wordAt)))
      writeFileSync(join(folder, 'adapter_model.safetensors'), isCut ? bytes.subarray(0, position) : bytes)
      const error = await prepareAdapter(folder, { ...options, folder: output }).then(() => null, (reason: unknown) => reason)
      if (isValid !== (error === null)) wrong.push(`byte ${position}${isCut ? ', cut' : ''}: ${String(error)}`)
      if (error !== null && !(error instanceof ServerError && error.code === 'invalid_adapter')) wrong.push(`byte ${position}: not the right kind of error: ${String(error)}`)
      counts[error === null ? 'taken' : 'refused']++
      if (readdirSync(output).length !== counts.taken) wrong.push(`byte ${position}: ${readdirSync(output).join(', ')}`)
    }
    expect(wrong).toEqual([])
    expect(counts.taken).toBeGreaterThan(tries / 6)
    expect(counts.refused).toBeGreaterThan(tries / 3)
  })
})
