import type { AnswerCase } from '../answer-cases.ts'
import { objectCases } from './object-cases.ts'

export const nemotronCases: readonly AnswerCase[] = [
  ...objectCases({ open: '<TOOLCALL>', close: '</TOOLCALL>', object: (name, argumentText) => `{"name": "${name}", "arguments": ${argumentText}}` }),
  {
    what: 'reasoning that the prompt began, before a call',
    text: 'The user asks.\n</think>\n\n<TOOLCALL>[{"name": "get_time", "arguments": {"city": "Oslo"}}]</TOOLCALL>',
    format: { prompt: '<SPECIAL_11>Assistant\n<think>\n\n' },
    expected: { reasoning: 'The user asks.', calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'broken arguments: as they are',
    text: '<TOOLCALL>[{"name": "search", "arguments": {"query": tea & cake}}]</TOOLCALL> Done.',
    expected: { content: 'Done.', calls: [['search', '{"query": tea & cake}}]']] }
  }
]
