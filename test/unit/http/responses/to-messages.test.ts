import { describe, expect, it } from 'vitest'
import type { ResponseItem } from '../../../../src/http/responses/response-item.ts'
import { toMessages } from '../../../../src/http/responses/to-messages.ts'

const status = 'completed'
const user = (text: string): ResponseItem => ({ id: 'm', type: 'message', status, role: 'user', content: [{ type: 'input_text', text }] })
const system = (text: string): ResponseItem => ({ id: 'm', type: 'message', status, role: 'system', content: [{ type: 'input_text', text }] })
const assistant = (text: string): ResponseItem => ({ id: 'm', type: 'message', status, role: 'assistant', content: [{ type: 'output_text', text, annotations: [], logprobs: [] }] })
const reasoning = (text: string): ResponseItem => ({ id: 'r', type: 'reasoning', status, summary: [], content: [{ type: 'reasoning_text', text }], encrypted_content: null })
const call = (id: string): ResponseItem => ({ id: 'f', type: 'function_call', status, call_id: id, name: 'get', arguments: '{}' })
const result = (id: string): ResponseItem => ({ id: 'o', type: 'function_call_output', status, call_id: id, output: `of ${id}` })
const toolCall = (id: string) => ({ id, name: 'get', arguments: '{}' })
const toolResult = (id: string) => ({ role: 'tool', content: `of ${id}`, toolCallId: id })

describe('items as messages', () => {
  it.each<[string, ResponseItem[], object[]]>([
    ['reasoning, text and calls are one turn', [user('Q'), reasoning('Hm'), assistant('Well'), call('a'), call('b'), result('a'), result('b'), assistant('So')], [
      { role: 'user', content: 'Q' },
      { role: 'assistant', content: 'Well', toolCalls: [toolCall('a'), toolCall('b')], reasoning: 'Hm' },
      toolResult('a'),
      toolResult('b'),
      { role: 'assistant', content: 'So' }
    ]],
    ['calls one after the other are turns of their own', [call('a'), result('a'), reasoning('Hm'), call('b'), result('b')], [
      { role: 'assistant', content: '', toolCalls: [toolCall('a')] },
      toolResult('a'),
      { role: 'assistant', content: '', toolCalls: [toolCall('b')], reasoning: 'Hm' },
      toolResult('b')
    ]],
    ['two answers stay two', [assistant('One'), assistant('Two'), reasoning('Hm'), assistant('Three')], [
      { role: 'assistant', content: 'One' }, { role: 'assistant', content: 'Two' }, { role: 'assistant', content: 'Three', reasoning: 'Hm' }
    ]],
    ['reasoning without an answer is not lost', [reasoning('Hm'), user('Q')], [{ role: 'assistant', content: '', reasoning: 'Hm' }, { role: 'user', content: 'Q' }]]
  ])('%s', (_name, items, messages) => {
    expect(toMessages(items, '')).toEqual(messages)
  })

  it('begin with the instructions, in one message with a system message that is there', () => {
    expect(toMessages([user('Q')], 'Be brief.')).toEqual([{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Q' }])
    expect(toMessages([system('Rules'), user('Q')], 'Be brief.')).toEqual([{ role: 'system', content: 'Be brief.\n\nRules' }, { role: 'user', content: 'Q' }])
    expect(toMessages([user('Q'), system('Rules')], 'Be brief.')[0]).toEqual({ role: 'system', content: 'Be brief.' })
  })
})
