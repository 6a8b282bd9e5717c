import { describe, expect, it } from 'vitest'
import { sizeOfConversation, sizeOfJson } from '../../../../src/chat/preparation/size-of.ts'

describe('the size of a JSON value', () => {
  it('is that of its texts and names, and 32 for each value and item', () => {
    expect(sizeOfJson('four', Infinity)).toBe(32 + 4)
    expect(sizeOfJson({ name: 'four', list: [1, null] }, Infinity)).toBe(32 + (4 + 36) + (4 + 32 + 4 * 32))
  })

  it('is counted up to a limit, whatever lies beyond', () => {
    let reads = 0
    const endless: object = { get next () { reads++; return endless } }
    expect(sizeOfJson(endless, 1000)).toBeGreaterThan(1000)
    expect(reads).toBeLessThan(1000)
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown
    expect(sizeOfJson(deep, Infinity)).toBe(100_000 * 32 + 99_999 * 32)
  })
})

describe('the size of a conversation', () => {
  it('is that of messages, calls and tools', () => {
    const tool = { name: 'f', description: 'five!', parameters: { type: 'object' }, isStrict: false }
    const call = { id: 'call_1', name: 'f', arguments: '{"a": 1}' }
    expect(sizeOfConversation([{ role: 'user', content: 'Rain?' }], [], Infinity)).toBe(256 + 5)
    expect(sizeOfConversation([{ role: 'assistant', content: '', reasoning: 'Hm', toolCalls: [call] }], [], Infinity)).toBe(256 + 2 + 256 + 1 + 8)
    expect(sizeOfConversation([], [tool], Infinity)).toBe(256 + 5 + 32 + 4 + 32 + 6)
    expect(sizeOfConversation([], Array.from({ length: 100 }, () => tool), 1000)).toBeLessThan(2000)
  })
})
