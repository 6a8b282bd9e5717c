import type { AnswerCase } from '../answer-cases.ts'
import { objectCases } from './object-cases.ts'

export const phiCases: readonly AnswerCase[] = [
  ...objectCases({ open: '<|tool_call|>', close: '<|/tool_call|>', object: (name, argumentText) => `{"name": "${name}", "arguments": ${argumentText}}` }),
  {
    what: 'calls in OpenAI\'s shape',
    text: '<|tool_call|>[{"type": "function", "function": {"name": "get_time", "arguments": {"city": "Oslo"}}}]<|/tool_call|>',
    expected: { calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'calls after the other marker',
    text: 'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] }
  },
  { what: 'the other marker as a word: content', text: 'Use functools.cache.', expected: { content: 'Use functools.cache.' } },
  {
    what: 'broken arguments: as they are',
    text: '<|tool_call|>[{"name": "search", "arguments": {"query": tea & cake}}]<|/tool_call|>',
    expected: { calls: [['search', '{"query": tea & cake}}]']] }
  }
]
