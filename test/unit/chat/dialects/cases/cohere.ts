import type { AnswerCase } from '../answer-cases.ts'
import { objectCases } from './object-cases.ts'

export const cohereCases: readonly AnswerCase[] = [
  ...objectCases({
    open: '<|START_ACTION|>', close: '<|END_ACTION|>', object: (name, argumentText) => `{"tool_call_id": "0", "tool_name": "${name}", "parameters": ${argumentText}}`
  }),
  {
    what: 'a plan before a call',
    text: '<|START_THINKING|>I will look it up.<|END_THINKING|><|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_time", "parameters": {"city": "Oslo"}}\n]<|END_ACTION|>',
    expected: { reasoning: 'I will look it up.', calls: [['get_time', '{"city": "Oslo"}']] }
  },
  { what: 'a framed answer', text: '<|START_RESPONSE|>It is **sunny**.<|END_RESPONSE|>', expected: { content: 'It is **sunny**.' } },
  { what: 'a framed answer of a later model', text: '<|START_THINKING|>Hm.<|END_THINKING|><|START_TEXT|>Hello!<|END_TEXT|>', expected: { reasoning: 'Hm.', content: 'Hello!' } },
  { what: 'a framed answer to a request without tools', text: '<|START_RESPONSE|>Hello!<|END_RESPONSE|>', format: { tools: null }, expected: { content: 'Hello!' } },
  {
    what: 'what would be a call in an answer to a request without tools: content',
    text: '<|START_ACTION|>[{"tool_name": "f", "parameters": {}}]<|END_ACTION|>',
    format: { tools: null },
    expected: { content: '<|START_ACTION|>[{"tool_name": "f", "parameters": {}}]<|END_ACTION|>' }
  },
  {
    what: 'broken arguments: as they are',
    text: '<|START_ACTION|>[{"tool_name": "search", "parameters": {"query": tea & cake}}]<|END_ACTION|>',
    expected: { calls: [['search', '{"query": tea & cake}}]']] }
  }
]
