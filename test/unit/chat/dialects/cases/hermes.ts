import type { AnswerCase } from '../answer-cases.ts'

export const hermesCases: readonly AnswerCase[] = [
  {
    what: 'a call',
    text: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two calls',
    text: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {"city": "Oslo"}}\n</tool_call>',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'text before a call',
    text: 'I will look that up.\n\n<tool_call>\n{"name": "search", "arguments": {"query": "tea"}}\n</tool_call>',
    expected: { content: 'I will look that up.', calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'text after a call',
    text: '<tool_call>{"name": "search", "arguments": {"query": "tea"}}</tool_call>\nOne moment. ',
    expected: { content: 'One moment.', calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'reasoning before a call',
    text: '<think>\nThe user wants tea.\nI search.\n</think>\n\n<tool_call>\n{"name": "search", "arguments": {"query": "tea"}}\n</tool_call>',
    expected: { reasoning: 'The user wants tea.\nI search.', calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'reasoning that the prompt began',
    text: 'Hm, tea.\n</think>\n\nTea is a drink.',
    format: { prompt: '<|im_start|>assistant\n<think>\n' },
    expected: { reasoning: 'Hm, tea.', content: 'Tea is a drink.' }
  },
  {
    what: 'an answer without calls',
    text: 'Tea < coffee, and <tool is no tag. ',
    expected: { content: 'Tea < coffee, and <tool is no tag. ' }
  },
  {
    what: 'arguments before the name',
    text: '<tool_call>{"arguments": {"city": "Rome", "days": [1, 2]}, "name": "get_weather"}</tool_call>',
    expected: { calls: [['get_weather', '{"city": "Rome", "days": [1, 2]}']] }
  },
  {
    what: 'arguments in a string',
    text: '<tool_call>\n{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}\n</tool_call>',
    expected: { calls: [['get_weather', '{"city": "Rome"}']] }
  },
  {
    what: 'no arguments',
    text: '<tool_call>\n{"name": "get_time"}\n</tool_call>\n<tool_call>{"name": "get_time", "arguments": null}</tool_call>',
    expected: { calls: [['get_time', '{}'], ['get_time', '{}']] }
  },
  {
    what: 'tags and braces within strings',
    text: '<tool_call>{"name": "search", "arguments": {"query": "</tool_call> } \\" { <tool_call>"}}</tool_call>',
    expected: { calls: [['search', '{"query": "</tool_call> } \\" { <tool_call>"}']] }
  },
  {
    what: 'a brace too many',
    text: '<tool_call>\n{"name": "search", "arguments": {"query": "tea"}}}\n</tool_call>',
    expected: { calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'a brace too few: the rest are the arguments',
    text: '<tool_call>\n{"name": "search", "arguments": {"query": "tea"\n</tool_call>\nDone.',
    expected: { content: 'Done.', calls: [['search', '{"query": "tea"\n']] }
  },
  {
    what: 'what is no call: it stays content',
    text: 'Like <tool_call>this</tool_call> or <tool_call>{"a": 1}</tool_call>.',
    expected: { content: 'Like <tool_call>this</tool_call> or <tool_call>{"a": 1}</tool_call>.' }
  },
  {
    what: 'an answer cut off within arguments',
    text: '<tool_call>\n{"name": "search", "arguments": {"query": "te',
    expected: { calls: [['search', '{"query": "te']] }
  },
  {
    what: 'an answer cut off after the name',
    text: '<tool_call>\n{"name": "search", "argu',
    expected: { calls: [['search', '']] }
  },
  {
    what: 'an answer cut off within the tag',
    text: 'Well. <tool_ca',
    expected: { content: 'Well. <tool_ca' }
  },
  {
    what: 'OpenAI\'s own form, and parameters under another name',
    text: '<tool_call>{"id": "x", "type": "function", "function": {"name": "get_time", "parameters": {"city": "Bonn"}}}</tool_call>',
    expected: { calls: [['get_time', '{"city": "Bonn"}']] }
  },
  {
    what: 'a list of calls in a tag',
    text: '<tool_call>[{"name": "get_time", "arguments": {}}, {"name": "search", "arguments": {"query": ""}}]</tool_call>',
    expected: { calls: [['get_time', '{}'], ['search', '{"query": ""}']] }
  },
  {
    what: 'a call that is not closed before the next one',
    text: '<tool_call>{"name": "get_time", "arguments": {}}\n<tool_call>{"name": "search", "arguments": {}}</tool_call>',
    expected: { calls: [['get_time', '{}'], ['search', '{}']] }
  },
  {
    what: 'calls in an answer to a request without tools: content',
    text: '<think>x</think><tool_call>{"name": "get_time", "arguments": {}}</tool_call> ',
    format: { tools: null },
    expected: { reasoning: 'x', content: '<tool_call>{"name": "get_time", "arguments": {}}</tool_call> ' }
  }
]
