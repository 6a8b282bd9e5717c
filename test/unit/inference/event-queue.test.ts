import { describe, expect, it, vi } from 'vitest'
import { EventQueue } from '../../../src/inference/event-queue.ts'

const collect = async <Item>(queue: EventQueue<Item>): Promise<Item[]> => {
  const items: Item[] = []
  for await (const item of queue) items.push(item)
  return items
}

describe('EventQueue', () => {
  it('hands on what was pushed before and after the reader came', async () => {
    const queue = new EventQueue<number>(() => {})
    queue.push(1)
    queue.push(2)
    const reading = collect(queue)
    await Promise.resolve()
    queue.push(3)
    queue.end()
    expect(await reading).toEqual([1, 2, 3])
  })

  it('gives what is queued before the error, and the error once', async () => {
    const queue = new EventQueue<number>(() => {})
    queue.push(1)
    queue.fail(new Error('broken'))
    expect(await queue.next()).toEqual({ done: false, value: 1 })
    await expect(queue.next()).rejects.toThrow('broken')
    expect(await queue.next()).toEqual({ done: true, value: undefined })
  })

  it('wakes a waiting reader with the error', async () => {
    const queue = new EventQueue<number>(() => {})
    const reading = queue.next()
    queue.fail(new Error('broken'))
    await expect(reading).rejects.toThrow('broken')
  })

  it('tells the writer when the reader leaves early, and only then', async () => {
    const onReturn = vi.fn()
    const queue = new EventQueue<number>(onReturn)
    queue.push(1)
    queue.push(2)
    for await (const item of queue) if (item === 1) break
    expect(onReturn).toHaveBeenCalledTimes(1)
    queue.push(3)
    expect(await queue.next()).toEqual({ done: true, value: undefined })

    const onEnd = vi.fn()
    const ended = new EventQueue<number>(onEnd)
    ended.end()
    await collect(ended)
    expect(onEnd).not.toHaveBeenCalled()
  })
})
