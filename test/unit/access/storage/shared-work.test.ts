import { describe, expect, it } from 'vitest'
import { SharedWork } from '../../../../src/access/storage/shared-work.ts'

/** Runs that end when they are told to. */
function setUp (most: number, gatherMs: number | null = null) {
  const runs: (readonly number[])[] = []
  const doors: ((error?: Error) => void)[] = []
  const work = new SharedWork<number, number>({
    run: async (items) => {
      runs.push(items)
      await new Promise<void>((resolve, reject) => { doors.push((error) => error === undefined ? resolve() : reject(error)) })
      return items.map((item) => item * 10)
    },
    most,
    gatherMs
  })
  return { work, runs, doors }
}

describe('shared work', () => {
  it('does together what comes while it is busy, up to its most, and gives each its own result', async () => {
    const { work, runs, doors } = setUp(2)
    const results = [1, 2, 3, 4].map(async (item) => await work.do(item))
    await expect.poll(() => runs).toEqual([[1]])
    doors[0]!()
    await expect.poll(() => runs).toEqual([[1], [2, 3]])
    doors[1]!()
    await expect.poll(() => runs).toEqual([[1], [2, 3], [4]])
    doors[2]!()
    expect(await Promise.all(results)).toEqual([10, 20, 30, 40])
    await work.idle()
  })

  it('waits first for those that share a run, where it is told to', async () => {
    const { work, runs, doors } = setUp(8, 0)
    const results = [1, 2, 3].map(async (item) => await work.do(item))
    await expect.poll(() => runs).toEqual([[1, 2, 3]])
    doors[0]!()
    expect(await Promise.all(results)).toEqual([10, 20, 30])
  })

  it('fails those whose run has failed, and goes on with the others', async () => {
    const { work, runs, doors } = setUp(8)
    const ends = Promise.allSettled([work.do(1), work.do(2)])
    await expect.poll(() => runs.length).toBe(1)
    doors[0]!(new Error('no'))
    await expect.poll(() => runs).toEqual([[1], [2]])
    doors[1]!()
    expect(await ends).toEqual([{ status: 'rejected', reason: new Error('no') }, { status: 'fulfilled', value: 20 }])
    await work.idle()
  })
})
