import type { AnswerCase } from '../answer-cases.ts'
import { parameterCases } from './parameter-cases.ts'

const call = (name: string, values: readonly (readonly [string, string])[]): string =>
  `<tool_call>\n<function=${name}>\n${values.map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join('')}</function>\n</tool_call>`
const seed = { template: '<seed:tool_call>\n<function=f>\n<parameter=x>' }

export const qwenCoderCases: readonly AnswerCase[] = [
  ...parameterCases({ call, valueEnd: '</parameter>' }),
  {
    what: 'line breaks that are part of a text',
    text: call('search', [['query', '\na\n\n']]),
    expected: { calls: [['search', '{"query": "\\na\\n\\n"}']] }
  },
  { what: 'values without lines of their own', text: '<tool_call><function=search><parameter=query>tea\n</parameter><parameter=limit>5</parameter></function></tool_call>', expected: { calls: [['search', '{"query": "tea\\n", "limit": 5}']] } },
  { what: 'no outer tag', text: 'I look.\n<function=get_time>\n<parameter=city>\nOslo\n</parameter>\n</function>', expected: { content: 'I look.', calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'no end of the function', text: '<tool_call>\n<function=get_time>\n<parameter=city>\nOslo\n</parameter>\n</tool_call> Done.', expected: { content: 'Done.', calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'a call object, as other models of the family write', text: '<tool_call>\n{"name": "get_time", "arguments": {"city": "Oslo"}}\n</tool_call>', expected: { calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'JSON within the function', text: '<tool_call>\n<function=get_time>\n{"city": "Oslo"}\n</function>\n</tool_call>', expected: { calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'what is no call: content', text: 'The tag <tool_call> is for calls, <function=> too.', expected: { content: 'The tag <tool_call> is for calls, <function=> too.' } },
  { what: 'a name cut off: content', text: '<tool_call>\n<function=get_ti', expected: { content: '<tool_call>\n<function=get_ti' } },
  {
    what: 'a call of Seed-OSS',
    text: '<seed:think>Hm.</seed:think><seed:tool_call>\n<function=search>\n<parameter=query>\nx\n</parameter>\n<parameter=limit>5</parameter>\n</function>\n</seed:tool_call>',
    format: seed,
    expected: { reasoning: 'Hm.', calls: [['search', '{"query": "\\nx\\n", "limit": 5}']] }
  }
]
