import type { AnswerCase } from '../answer-cases.ts'

const fence = (language: string, text: string): string => `\`\`\`${language}\n${text}\n\`\`\``

export const gemmaCases: readonly AnswerCase[] = [
  {
    what: 'a call object',
    text: fence('tool_code', '{"name": "get_weather", "parameters": {"city": "Paris"}}'),
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a Python call',
    text: fence('tool_code', 'get_weather(city="Paris")'),
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'a printed Python call with a namespace',
    text: fence('tool_code', 'print(default_api.get_weather(city=\'Paris\'))'),
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two Python calls',
    text: fence('tool_code', 'get_weather(city="Paris")\nget_time(city="Oslo")'),
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'a list of Python calls',
    text: fence('tool_code', '[get_weather(city="Paris"), get_time()]'),
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] }
  },
  {
    what: 'Python\'s literals',
    text: fence('tool_code', 'search(query=\'it\\\'s "tea"\\n\', exact=True, limit=5, ratio=-.5, tags=["a", \'b\'], filter={\'x\': None, "y": (1, 2)})'),
    expected: { calls: [['search', '{"query": "it\'s \\"tea\\"\\n", "exact": true, "limit": 5, "ratio": -0.5, "tags": ["a", "b"], "filter": {"x": null, "y": [1, 2]}}']] }
  },
  {
    what: 'a call object in a fence of JSON',
    text: `I need the time.\n${fence('json', '{"name": "get_time", "parameters": {"city": "Oslo"}}')}`,
    expected: { content: 'I need the time.', calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'JSON that is no call: content',
    text: `Here:\n${fence('json', '{"name": "Ann"}')}\nDone.`,
    expected: { content: `Here:\n${fence('json', '{"name": "Ann"}')}\nDone.` }
  },
  {
    what: 'code that is no call: content',
    text: `Try this:\n${fence('python', 'print("hello")')}`,
    expected: { content: `Try this:\n${fence('python', 'print("hello")')}` }
  },
  {
    what: 'a bare call object',
    text: '{"name": "get_weather", "parameters": {"city": "Paris"}}',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'text alone',
    text: 'Use `get_weather` or ``x``.',
    expected: { content: 'Use `get_weather` or ``x``.' }
  },
  {
    what: 'text after a call',
    text: `${fence('tool_code', 'get_time()')}\nI wait.`,
    expected: { content: 'I wait.', calls: [['get_time', '{}']] }
  },
  {
    what: 'a broken Python call: as it is',
    text: fence('tool_code', 'search(query=tea)'),
    expected: { calls: [['search', '{)\n']] }
  },
  {
    what: 'a call cut off',
    text: '```tool_code\nsearch(query="tea", exact=',
    expected: { calls: [['search', '{"query": "tea"']] }
  },
  {
    what: 'two call objects in fences',
    text: `${fence('tool_code', '{"name": "get_time", "parameters": {}}')}\n${fence('tool_code', '{"name": "search", "parameters": {"query": "```"}}')}`,
    expected: { calls: [['get_time', '{}'], ['search', '{"query": "```"}']] }
  }
]
