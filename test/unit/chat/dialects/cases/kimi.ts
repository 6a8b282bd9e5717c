import type { AnswerCase } from '../answer-cases.ts'

const begin = '<|tool_calls_section_begin|>'
const end = '<|tool_calls_section_end|>'
const call = (id: string, argumentText: string): string => `<|tool_call_begin|>${id}<|tool_call_argument_begin|>${argumentText}<|tool_call_end|>`

export const kimiCases: readonly AnswerCase[] = [
  { what: 'a call', text: `${begin}${call('functions.get_weather:0', '{"city": "Paris"}')}${end}`, expected: { calls: [['get_weather', '{"city": "Paris"}']] } },
  {
    what: 'two calls',
    text: `${begin}${call('functions.get_weather:0', '{"city": "Paris"}')}${call('functions.get_time:1', '{"city": "Oslo"}')}${end}`,
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] }
  },
  { what: 'text before a call', text: `I look.${begin}${call('functions.get_time:3', '{}')}${end}`, expected: { content: 'I look.', calls: [['get_time', '{}']] } },
  { what: 'text after a call', text: `${begin}${call('functions.get_time:0', '{}')}${end} I wait.`, expected: { content: 'I wait.', calls: [['get_time', '{}']] } },
  {
    what: 'reasoning before a call',
    text: `<think>I need the time.</think>${begin}${call('functions.get_time:0', '{}')}${end}`,
    expected: { reasoning: 'I need the time.', calls: [['get_time', '{}']] }
  },
  { what: 'line breaks between markers', text: `${begin}\n<|tool_call_begin|> functions.get_time:0 <|tool_call_argument_begin|> {"city": "Oslo"} <|tool_call_end|>\n${end}`, expected: { calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'an id that is the name alone', text: `${begin}${call('get_time', '{}')}${end}`, expected: { calls: [['get_time', '{}']] } },
  { what: 'a name with a dot', text: `${begin}${call('functions.files.read:12', '{}')}${end}`, expected: { calls: [['files.read', '{}']] } },
  { what: 'another spelling of the first marker', text: `<|tool_call_section_begin|>${call('functions.get_time:0', '{}')}${end}`, expected: { calls: [['get_time', '{}']] } },
  { what: 'no outer markers', text: call('functions.get_time:0', '{"city": "Rome"}'), expected: { calls: [['get_time', '{"city": "Rome"}']] } },
  { what: 'markers within strings', text: `${begin}${call('functions.search:0', '{"query": "<|tool_call_end|>}"}')}${end}`, expected: { calls: [['search', '{"query": "<|tool_call_end|>}"}']] } },
  { what: 'nested arguments and many scripts', text: `${begin}${call('functions.search:0', '{"filter": {"a": [{"b": "京🌧️"}]}}')}${end}`, expected: { calls: [['search', '{"filter": {"a": [{"b": "京🌧️"}]}}']] } },
  { what: 'broken arguments: as they are', text: `${begin}${call('functions.search:0', '{"query": tea & cake}')}${end}`, expected: { calls: [['search', '{"query": tea & cake}']] } },
  { what: 'a tool that the request does not have', text: `${begin}${call('functions.get_rain:0', '{}')}${end}`, expected: { calls: [['get_rain', '{}']] } },
  { what: 'arguments cut off', text: `${begin}<|tool_call_begin|>functions.search:0<|tool_call_argument_begin|>{"query": "te`, expected: { calls: [['search', '{"query": "te']] } },
  { what: 'an id cut off: content', text: 'Well.<|tool_call_begin|>functions.sea', expected: { content: 'Well.<|tool_call_begin|>functions.sea' } },
  { what: 'text alone', text: 'a <| b, functions.get_time:0', expected: { content: 'a <| b, functions.get_time:0' } }
]
