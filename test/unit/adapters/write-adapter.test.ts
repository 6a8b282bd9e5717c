import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { convertTensor } from '../../../src/adapters/files/convert-tensor.ts'
import { adapterRefusal } from '../../../src/adapters/files/refusal.ts'
import { writeAdapter, type AdapterTensor } from '../../../src/adapters/files/write-adapter.ts'
import { Random } from '../../../src/domain/random.ts'
import { readAdapter } from '../../support/peft-folder.ts'

let directory = ''
beforeAll(() => { directory = mkdtempSync(join(tmpdir(), 'drawbridge-write-')) })
afterAll(() => { rmSync(directory, { recursive: true }) })

const signal = new AbortController().signal
const refuse = adapterRefusal('it')

const tensor = (data: () => AsyncIterable<Buffer>): AdapterTensor => ({ name: 'blk.0.attn_q.weight.lora_a', shape: [3, 5], type: 0, data })

async function * pieces (...buffers: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield * buffers
}

const write = async (tensors: readonly AdapterTensor[], check: (path: string) => Promise<void> = async () => {}, stop = signal): Promise<void> => {
  await writeAdapter(join(directory, 'out.gguf'), { architecture: 'llama', name: 'name', alpha: 0.5, tensors }, check, stop)
}

describe('writing an adapter', () => {
  it('checks it whole, then gives it its name', async () => {
    const bytes = Buffer.alloc(60)
    for (let index = 0; index < 15; index++) bytes.writeFloatLE(index, index * 4)
    const seen: number[] = []
    await write([tensor(() => pieces(bytes.subarray(0, 7), bytes.subarray(7))), { ...tensor(() => pieces(bytes)), name: 'second' }], async (path) => {
      expect(readdirSync(directory)).not.toContain('out.gguf')
      seen.push((await readAdapter(path)).matrices.size)
    })
    expect(seen).toEqual([2])
    const { alpha, matrices } = await readAdapter(join(directory, 'out.gguf'))
    expect(alpha).toBe(0.5)
    expect(matrices.get('second')).toEqual([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [12, 13, 14]])
    rmSync(join(directory, 'out.gguf'))
  })

  const called = new AbortController()
  it.each<[string, readonly AdapterTensor[], ((path: string) => Promise<void>) | undefined, AbortSignal, string]>([
    ['data fails', [tensor(async function * () { yield Buffer.alloc(20); throw new Error('no more') })], undefined, signal, 'no more'],
    ['data is too short', [tensor(() => pieces(Buffer.alloc(59)))], undefined, signal, 'came to 59 bytes, not 60'],
    ['data is too long', [tensor(() => pieces(Buffer.alloc(60), Buffer.alloc(1)))], undefined, signal, 'came to 61 bytes, not 60'],
    ['the check fails', [tensor(() => pieces(Buffer.alloc(60)))], async () => { throw new Error('not good') }, signal, 'not good'],
    ['it is called off half way', [tensor(async function * () { yield Buffer.alloc(20); called.abort(new Error('called off')); yield Buffer.alloc(40) })], undefined, called.signal, 'called off']
  ])('leaves nothing behind when %s', async (_, tensors, check, stop, message) => {
    const began: number[] = []
    const watched = tensors.map((one) => ({ ...one, data: () => { began.push(readdirSync(directory).length); return one.data() } }))
    await expect(write(watched, check, stop)).rejects.toThrow(message)
    expect(began).toEqual([1])
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('tensors of many pieces', () => {
  const [rows, columns] = [48, 30_000] as const
  const random = new Random(11)
  const values = Float32Array.from({ length: rows * columns }, () => random.uniform())
  const source = { name: 'source', dtype: 'F32', shape: [rows, columns], position: 16, sizeBytes: values.byteLength }

  async function convert (order: Parameters<typeof convertTensor>[1]['order'], factor = 1): Promise<{ readonly lengths: readonly number[], readonly values: Float32Array }> {
    const path = join(directory, 'source')
    writeFileSync(path, Buffer.concat([Buffer.alloc(16), Buffer.from(values.buffer)]))
    const handle = await open(path)
    const parts: Buffer[] = []
    for await (const part of convertTensor(handle, { name: 'out', shape: [columns, rows], type: 0, sources: [{ tensor: source, factor }], order }, refuse)) parts.push(part)
    await handle.close()
    rmSync(path)
    const whole = new Uint8Array(Buffer.concat(parts))
    return { lengths: parts.map(({ length }) => length), values: new Float32Array(whole.buffer, 0, whole.length / 4) }
  }

  /** Millions of numbers, which `toEqual` takes seconds for. */
  const expectSame = (actual: Float32Array, expected: Float32Array): void => {
    expect(actual.length).toBe(expected.length)
    expect(actual.findIndex((value, index) => value !== expected[index])).toBe(-1)
  }

  it('stay as they are', async () => {
    const { lengths, values: result } = await convert({ type: 'same' })
    expect(lengths.length).toBeGreaterThan(5)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1 << 20)
    expectSame(result, values)
  })

  it('are multiplied', async () => {
    expectSame((await convert({ type: 'same' }, 3)).values, values.map((value) => value * 3))
  })

  it('are turned round', async () => {
    const { lengths, values: result } = await convert({ type: 'transposed' })
    expect(lengths.length).toBeGreaterThan(5)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1 << 20)
    expectSame(result, values.map((_, index) => values[index % rows * columns + Math.floor(index / rows)] ?? NaN))
  })

  it('are reordered block by block', async () => {
    const { values: result } = await convert({ type: 'interleaved', blockRows: 8 })
    const firsts = Array.from({ length: rows }, (_, row) => values.findIndex((value, index) => index % columns === 0 && value === result[row * columns]) / columns)
    expect(firsts.slice(0, 16)).toEqual([0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15])
  })

  it('of a file that becomes shorter are refused', async () => {
    const path = join(directory, 'source')
    writeFileSync(path, Buffer.alloc(100))
    const handle = await open(path)
    const parts = convertTensor(handle, { name: 'out', shape: [columns, rows], type: 0, sources: [{ tensor: source, factor: 1 }], order: { type: 'same' } }, refuse)
    await expect(parts.next()).rejects.toThrow('became shorter while it was read')
    await handle.close()
    rmSync(path)
  })
})
