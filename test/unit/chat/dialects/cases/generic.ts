import type { AnswerCase } from '../answer-cases.ts'

export const genericCases: readonly AnswerCase[] = [
  {
    what: 'the rest of a message that the prompt has begun',
    text: '<think> is a tag.',
    expected: { content: '<think> is a tag.' },
    format: { continuesContent: true, tools: null }
  },
  {
    what: 'the rest of reasoning that the prompt has begun',
    text: 'Hm.</think>Yes.',
    expected: { reasoning: 'Hm.', content: 'Yes.' },
    format: { continuesContent: true, tools: null, prompt: '<|assistant|><think>' }
  },
  {
    what: 'a call in a tag, as it was told',
    text: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a bare call object',
    text: '{"name": "get_weather", "arguments": {"city": "Paris"}}',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a bare list of calls',
    text: '[{"name": "get_time", "arguments": {}}, {"name": "search", "arguments": {"query": "tea"}}]',
    expected: { calls: [['get_time', '{}'], ['search', '{"query": "tea"}']] }
  },
  {
    what: 'a call in a fence of JSON',
    text: '```json\n{"name": "get_time", "arguments": {"city": "Oslo"}}\n```',
    expected: { calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'a call in a fence of its own',
    text: 'So:\n```tool_call\n{"tool_name": "get_time", "args": {"city": "Oslo"}}\n```\n',
    expected: { content: 'So:', calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'text alone',
    text: 'Hello, world.\n',
    expected: { content: 'Hello, world.\n' }
  },
  {
    what: 'JSON that is no call',
    text: ' {"answer": [1, 2]}',
    expected: { content: ' {"answer": [1, 2]}' }
  },
  {
    what: 'a list that is no call',
    text: '[1, 2, 3]',
    expected: { content: '[1, 2, 3]' }
  },
  {
    what: 'a call of a tool that the request does not have, without a tag: content',
    text: '{"name": "launch", "arguments": {}}',
    expected: { content: '{"name": "launch", "arguments": {}}' }
  },
  {
    what: 'a call of a tool that the request does not have, in a tag: the client decides',
    text: '<tool_call>{"name": "launch", "arguments": {}}</tool_call>',
    expected: { calls: [['launch', '{}']] }
  },
  {
    what: 'reasoning',
    text: '\n<think>Hm</think>\n\nYes.',
    expected: { reasoning: 'Hm', content: 'Yes.' }
  },
  {
    what: 'reasoning that is not wanted apart',
    text: '<think>Hm</think> Yes.',
    format: { splitsReasoning: false },
    expected: { content: '<think>Hm</think> Yes.' }
  },
  {
    what: 'a tag of reasoning within content',
    text: 'Write <think>x</think>.',
    expected: { content: 'Write <think>x</think>.' }
  },
  {
    what: 'two calls with text between them',
    text: '<tool_call>{"name": "get_time", "arguments": {}}</tool_call> and <tool_call>{"name": "search", "arguments": {}}</tool_call>',
    expected: { content: 'and', calls: [['get_time', '{}'], ['search', '{}']] }
  },
  {
    what: 'an empty answer',
    text: '',
    expected: {}
  },
  {
    what: 'nothing but white space',
    text: ' \n ',
    expected: { content: ' \n ' }
  },
  {
    what: 'a bare call cut off',
    text: '{"name": "search", "arguments": {"query": "t',
    expected: { calls: [['search', '{"query": "t']] }
  }
]
