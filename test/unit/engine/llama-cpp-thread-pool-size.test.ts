import { describe, expect, it } from 'vitest'
import { runsJobsInOrder, threadPoolSize } from '../../../src/engine/llama-cpp/thread-pool-size.ts'

describe('threadPoolSize', () => {
  it.each([
    { laneCount: 1, isOnGpu: false, cores: 16, size: 1, why: 'a decode on the processor is not to hop' },
    { laneCount: 3, isOnGpu: false, cores: 16, size: 3, why: 'lanes decode at the same time' },
    { laneCount: 1, isOnGpu: true, cores: 8, size: 2, why: 'a draw runs beside the next one\'s copy' },
    { laneCount: 1, isOnGpu: true, cores: 1, size: 1, why: 'there is only one core' },
    { laneCount: 4, isOnGpu: true, cores: 128, size: 8, why: 'lanes draw beside each other' },
    { laneCount: 4, isOnGpu: true, cores: 6, size: 5, why: 'the event loop has a core' },
    { laneCount: 4, isOnGpu: true, cores: 2, size: 4, why: 'lanes decode at the same time' }
  ])('is $size for $laneCount lanes on $cores cores, on a GPU: $isOnGpu: $why', ({ laneCount, isOnGpu, cores, size }) => {
    expect(threadPoolSize(laneCount, { isOnGpu, cores })).toBe(size)
  })
})

describe('runsJobsInOrder', () => {
  it('is true with one lane on a processor', () => {
    const isTrueFor = (laneCount: number, isOnGpu: boolean): boolean =>
      runsJobsInOrder({ UV_THREADPOOL_SIZE: String(threadPoolSize(laneCount, { isOnGpu, cores: 8 })) })
    expect([isTrueFor(1, false), isTrueFor(2, false), isTrueFor(1, true)]).toEqual([true, false, false])
  })

  it('is false where nobody chose the size', () => {
    expect(runsJobsInOrder({})).toBe(false)
  })
})
