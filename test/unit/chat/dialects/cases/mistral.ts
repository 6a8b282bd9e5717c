import type { AnswerCase } from '../answer-cases.ts'

export const mistralCases: readonly AnswerCase[] = [
  {
    what: 'a call in a list',
    text: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a call with its id',
    text: '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "VvvODy9mT"}]',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two calls in a list',
    text: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {"city": "Oslo"}}]',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'a call by name',
    text: '[TOOL_CALLS]get_weather{"city": "Paris"}',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a call by name with markers',
    text: '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'calls by name with ids',
    text: '[TOOL_CALLS]get_weather[CALL_ID]VvvODy9mT[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[CALL_ID]abcdefghi[ARGS]{}',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] }
  },
  {
    what: 'calls by name in a row',
    text: '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]search[ARGS]{"query": "[TOOL_CALLS]"}',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['search', '{"query": "[TOOL_CALLS]"}']] }
  },
  {
    what: 'text before a call',
    text: 'Let me see.[TOOL_CALLS]get_time[ARGS]{}',
    expected: { content: 'Let me see.', calls: [['get_time', '{}']] }
  },
  {
    what: 'text with brackets',
    text: 'See [TOOL] and [1, 2].',
    expected: { content: 'See [TOOL] and [1, 2].' }
  },
  {
    what: 'what is no call: content',
    text: 'The marker [TOOL_CALLS] comes first.',
    expected: { content: 'The marker [TOOL_CALLS] comes first.' }
  },
  {
    what: 'reasoning',
    text: '[THINK]Short.[/THINK]The answer is 4.',
    expected: { reasoning: 'Short.', content: 'The answer is 4.' }
  },
  {
    what: 'reasoning before a call',
    text: '[THINK]I need the time.\n[/THINK][TOOL_CALLS]get_time[ARGS]{"city": "Oslo"}',
    expected: { reasoning: 'I need the time.', calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'nested arguments',
    text: '[TOOL_CALLS][{"name": "search", "arguments": {"query": "a", "filter": {"tags": ["x]", "}"], "n": -1.5e3}}}]',
    expected: { calls: [['search', '{"query": "a", "filter": {"tags": ["x]", "}"], "n": -1.5e3}}']] }
  },
  {
    what: 'broken arguments in a list: as they are',
    text: '[TOOL_CALLS][{"name": "search", "arguments": {"query": \'tea\'}}]',
    expected: { calls: [['search', '{"query": \'tea\'}}]']] }
  },
  {
    what: 'broken arguments by name: as they are, up to the next call',
    text: '[TOOL_CALLS]search[ARGS]{"query": \'tea\'}[TOOL_CALLS]get_time[ARGS]{}',
    expected: { calls: [['search', '{"query": \'tea\'}'], ['get_time', '{}']] }
  },
  {
    what: 'an answer cut off within arguments',
    text: '[TOOL_CALLS]search[ARGS]{"query": "te',
    expected: { calls: [['search', '{"query": "te']] }
  },
  {
    what: 'an answer cut off within the name: content',
    text: '[TOOL_CALLS]sea',
    expected: { content: '[TOOL_CALLS]sea' }
  }
]
