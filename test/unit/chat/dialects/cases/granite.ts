import type { AnswerCase } from '../answer-cases.ts'

export const graniteCases: readonly AnswerCase[] = [
  {
    what: 'a call',
    text: '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two calls',
    text: '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {"city": "Oslo"}}]',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'a call without a list',
    text: '<|tool_call|> {"name": "get_time", "arguments": {}}',
    expected: { calls: [['get_time', '{}']] }
  },
  {
    what: 'the tag of Granite 3.0',
    text: '<tool_call>[{"name": "get_time", "arguments": {"city": "Oslo"}}]',
    expected: { calls: [['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'a closed tag',
    text: '<tool_call>[{"name": "get_time", "arguments": {}}]</tool_call>',
    expected: { calls: [['get_time', '{}']] }
  },
  {
    what: 'text before a call',
    text: 'One moment. <|tool_call|>[{"name": "search", "arguments": {"query": "tea"}}]',
    expected: { content: 'One moment.', calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'reasoning and content',
    text: '<think>I greet.</think><response>Hello.</response>',
    expected: { reasoning: 'I greet.', content: '<response>Hello.</response>' }
  },
  {
    what: 'reasoning before a call',
    text: '<think>\nThe time.\n</think>\n<|tool_call|>[{"name": "get_time", "arguments": {}}]',
    expected: { reasoning: 'The time.', calls: [['get_time', '{}']] }
  },
  {
    what: 'text alone',
    text: 'x <| y and <|tool| z\n',
    expected: { content: 'x <| y and <|tool| z\n' }
  },
  {
    what: 'an empty list: content',
    text: '<|tool_call|>[]',
    expected: { content: '<|tool_call|>[]' }
  },
  {
    what: 'lists in lines, indented',
    text: '<|tool_call|>[\n  {\n    "name": "search",\n    "arguments": {\n      "query": "tea"\n    }\n  }\n]\n',
    expected: { calls: [['search', '{\n      "query": "tea"\n    }']] }
  },
  {
    what: 'brackets within strings',
    text: '<|tool_call|>[{"name": "search", "arguments": {"query": "]}, {"}}]',
    expected: { calls: [['search', '{"query": "]}, {"}']] }
  },
  {
    what: 'broken arguments: as they are',
    text: '<|tool_call|>[{"name": "search", "arguments": {"query": #1}}]',
    expected: { calls: [['search', '{"query": #1}}]']] }
  },
  {
    what: 'a list that breaks off after a call',
    text: '<|tool_call|>[{"name": "get_time", "arguments": {}},',
    expected: { calls: [['get_time', '{}']] }
  },
  {
    what: 'an answer cut off within arguments',
    text: '<|tool_call|>[{"name": "search", "arguments": {"query": "te',
    expected: { calls: [['search', '{"query": "te']] }
  }
]
