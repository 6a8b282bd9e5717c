import type { AnswerCase } from '../answer-cases.ts'
import { parameterCases } from './parameter-cases.ts'

const call = (name: string, values: readonly (readonly [string, string])[]): string =>
  `<tool_call>${name}\n${values.map(([key, value]) => `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n`).join('')}</tool_call>`

export const glmCases: readonly AnswerCase[] = [
  ...parameterCases({ call, valueEnd: '</arg_value>' }),
  { what: 'a call in one line', text: '<tool_call>search<arg_key>query</arg_key><arg_value>tea</arg_value><arg_key>limit</arg_key><arg_value>5</arg_value></tool_call>', expected: { calls: [['search', '{"query": "tea", "limit": 5}']] } },
  { what: 'calls in a row', text: '<tool_call>get_time</tool_call><tool_call>get_time\n</tool_call>', expected: { calls: [['get_time', '{}'], ['get_time', '{}']] } },
  { what: 'line breaks around a text, which are part of it', text: call('search', [['query', '\nx\n']]), expected: { calls: [['search', '{"query": "\\nx\\n"}']] } },
  { what: 'a call object', text: '<tool_call>{"name": "get_time", "arguments": {"city": "Oslo"}}</tool_call>', expected: { calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'a name without a value: the rest as it is', text: '<tool_call>search\n<arg_key>query</arg_key>\ntea</tool_call>', expected: { calls: [['search', '{tea']] } },
  { what: 'what is no call: content', text: 'The tag <tool_call> is for calls.', expected: { content: 'The tag <tool_call> is for calls.' } },
  { what: 'a name cut off: content', text: '<tool_call>get_ti', expected: { content: '<tool_call>get_ti' } },
  { what: 'empty reasoning that the prompt has', text: '\nHello!', format: { prompt: '<|assistant|>\n<think></think>' }, expected: { content: '\nHello!' } }
]
