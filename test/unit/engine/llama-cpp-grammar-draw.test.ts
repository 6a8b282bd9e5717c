import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { drawWithin } from '../../../src/engine/llama-cpp/grammar-draw.ts'

describe('a draw under a grammar', () => {
  beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }) })
  afterEach(() => { vi.useRealTimers() })

  it('gives what was drawn, and its error', async () => {
    const limits = { slowMs: Infinity, stuckMs: 100 }
    const onStuck = vi.fn()
    expect(await drawWithin(limits, async () => 7, onStuck)).toBe(7)
    await expect(drawWithin(limits, async () => { throw new Error('lost') }, onStuck)).rejects.toThrow('lost')
    vi.advanceTimersByTime(1000)
    expect(onStuck).not.toHaveBeenCalled()
  })

  it('fails when it took longer than the limit', async () => {
    const limits = { slowMs: -1, stuckMs: 100 }
    await expect(drawWithin(limits, async () => 7, () => {})).rejects.toMatchObject({
      code: 'invalid_grammar', param: 'grammar', message: expect.stringMatching(/in too many ways: a token took \d+ ms, and the limit is -1 ms/)
    })
  })

  it('tells once when it does not end', async () => {
    const onStuck = vi.fn()
    drawWithin({ slowMs: 10, stuckMs: 100 }, async () => await new Promise(() => {}), onStuck).catch(() => {})
    vi.advanceTimersByTime(99)
    expect(onStuck).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1000)
    expect(onStuck).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'invalid_grammar' }))
  })
})
