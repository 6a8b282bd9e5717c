import type { AnswerCase } from '../answer-cases.ts'
import { parameterCases } from './parameter-cases.ts'

type Values = readonly (readonly [string, string])[]

const invoke = (name: string, values: Values): string =>
  `<invoke name="${name}">\n${values.map(([key, value]) => `<parameter name="${key}">${value}</parameter>\n`).join('')}</invoke>\n`
const call = (name: string, values: Values): string => `<minimax:tool_call>\n${invoke(name, values)}</minimax:tool_call>`

export const minimaxCases: readonly AnswerCase[] = [
  ...parameterCases({ call, valueEnd: '</parameter>' }),
  {
    what: 'two calls in one pair of tags',
    text: `<minimax:tool_call>\n${invoke('get_weather', [['city', 'Paris']])}${invoke('get_time', [])}</minimax:tool_call>`,
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] }
  },
  {
    what: 'reasoning that the prompt began',
    text: `I need it.\n</think>\n\n${call('get_time', [['city', 'Oslo']])}`,
    format: { prompt: ']~b]ai\n<think>\n' },
    expected: { reasoning: 'I need it.', calls: [['get_time', '{"city": "Oslo"}']] }
  },
  { what: 'an invocation that is not closed', text: '<minimax:tool_call>\n<invoke name="get_time">\n<parameter name="city">Oslo</parameter>\n</minimax:tool_call>', expected: { calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'a call object', text: '<minimax:tool_call>{"name": "get_time", "arguments": {"city": "Oslo"}}</minimax:tool_call>', expected: { calls: [['get_time', '{"city": "Oslo"}']] } },
  { what: 'what is no call: content', text: 'Use <minimax:tool_call> for calls.', expected: { content: 'Use <minimax:tool_call> for calls.' } },
  { what: 'a name cut off: content', text: '<minimax:tool_call>\n<invoke name="get_ti', expected: { content: '<minimax:tool_call>\n<invoke name="get_ti' } },
  { what: 'a second name cut off', text: `<minimax:tool_call>\n${invoke('get_time', [])}<invoke name="sea`, expected: { calls: [['get_time', '{}']] } }
]
