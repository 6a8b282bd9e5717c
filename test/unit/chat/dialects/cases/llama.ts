import { ParameterTypes } from '../../../../../src/chat/structured/parameter-types.ts'
import type { AnswerCase } from '../answer-cases.ts'

export const llamaCases: readonly AnswerCase[] = [
  {
    what: 'a call',
    text: '{"name": "get_weather", "parameters": {"city": "Paris"}}',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a call after line breaks, with a type',
    text: '\n\n{"type": "function", "name": "get_weather", "parameters": {"city": "Paris", "days": "3"}}',
    expected: { calls: [['get_weather', '{"city": "Paris", "days": "3"}']] }
  },
  {
    what: 'two calls with a semicolon between them',
    text: '{"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "get_time", "parameters": {"city": "Paris"}}',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Paris"}']] }
  },
  {
    what: 'calls in lines',
    text: '{"name": "get_time", "parameters": {}}\n{"name": "search", "parameters": {"query": "a;b"}}\n',
    expected: { calls: [['get_time', '{}'], ['search', '{"query": "a;b"}']] }
  },
  {
    what: 'a list of calls',
    text: '[{"name": "get_time", "parameters": {"city": "Oslo"}}, {"name": "get_time", "parameters": {"city": "Rome"}}]',
    expected: { calls: [['get_time', '{"city": "Oslo"}'], ['get_time', '{"city": "Rome"}']] }
  },
  {
    what: 'a call after the tag',
    text: '<|python_tag|>{"name": "search", "parameters": {"query": "tea"}}',
    expected: { calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'two calls after the tag',
    text: '<|python_tag|>{"name": "search", "parameters": {"query": "tea"}}; {"name": "get_time", "parameters": {}}',
    expected: { calls: [['search', '{"query": "tea"}'], ['get_time', '{}']] }
  },
  {
    what: 'a call of a built-in tool',
    text: '<|python_tag|>search.call(query="who won \\"the cup\\", 2022?")',
    expected: { calls: [['search', '{"query": "who won \\"the cup\\", 2022?"}']] }
  },
  {
    what: 'code for an interpreter',
    text: '<|python_tag|>import math\nprint("π", math.pi)\n',
    expected: { calls: [['code_interpreter', '{"code": "import math\\nprint(\\"π\\", math.pi)\\n"}']] }
  },
  {
    what: 'code without an interpreter: content',
    text: '<|python_tag|>print(1)',
    format: { tools: new Map([['search', new ParameterTypes({})]]) },
    expected: { content: 'print(1)' }
  },
  {
    what: 'text',
    text: 'It is sunny in Paris. {"name": "get_weather"}',
    expected: { content: 'It is sunny in Paris. {"name": "get_weather"}' }
  },
  {
    what: 'JSON that is no call',
    text: '{"name": "Ann", "age": 7}',
    expected: { content: '{"name": "Ann", "age": 7}' }
  },
  {
    what: 'JSON with a tool\'s name and no parameters: content',
    text: '{"name": "get_weather", "description": "The weather"}',
    expected: { content: '{"name": "get_weather", "description": "The weather"}' }
  },
  {
    what: 'text after a call',
    text: '{"name": "get_time", "parameters": {}} is what I call.',
    expected: { content: 'is what I call.', calls: [['get_time', '{}']] }
  },
  {
    what: 'parameters in a string',
    text: '{"name": "get_weather", "parameters": "{\\"city\\": \\"Rome\\"}"}',
    expected: { calls: [['get_weather', '{"city": "Rome"}']] }
  },
  {
    what: 'broken parameters: as they are',
    text: '{"name": "search", "parameters": {"query": tea & cake}}',
    expected: { calls: [['search', '{"query": tea & cake}}']] }
  },
  {
    what: 'an answer cut off within parameters',
    text: '{"name": "search", "parameters": {"query": "te',
    expected: { calls: [['search', '{"query": "te']] }
  },
  {
    what: 'a distilled model\'s reasoning',
    text: 'It asks for the time.\n</think>\n\n{"name": "get_time", "parameters": {}}',
    format: { prompt: '<think>\n' },
    expected: { reasoning: 'It asks for the time.', calls: [['get_time', '{}']] }
  }
]
