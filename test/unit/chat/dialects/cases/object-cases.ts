import type { AnswerCase } from '../answer-cases.ts'

/** How a format encloses call objects. */
export interface ObjectFormat {
  readonly open: string
  readonly close: string
  /** A call object as the models write it; the arguments are JSON text. */
  readonly object: (name: string, argumentText: string) => string
}

/** What every format of call objects between two markers has to read. */
export function objectCases ({ open, close, object }: ObjectFormat): readonly AnswerCase[] {
  const paris = object('get_weather', '{"city": "Paris"}')
  const time = object('get_time', '{}')
  const called = { calls: [['get_weather', '{"city": "Paris"}']] } as const
  return [
    { what: 'a call', text: `${open}[${paris}]${close}`, expected: called },
    { what: 'two calls', text: `${open}[${paris}, ${time}]${close}`, expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] } },
    { what: 'calls in lines', text: `${open}[\n    ${paris},\n    ${time}\n]${close}`, expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] } },
    { what: 'a call without a list', text: `${open}${paris}${close}`, expected: called },
    { what: 'a call for each pair of markers', text: `${open}${paris}${close}\n${open}[${time}]${close}`, expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] } },
    { what: 'text before a call', text: `Let me look.\n\n${open}[${paris}]${close}`, expected: { content: 'Let me look.', ...called } },
    { what: 'text after a call', text: `${open}[${paris}]${close}\nI wait.`, expected: { content: 'I wait.', ...called } },
    { what: 'nested arguments', text: `${open}[${object('search', '{"filter": {"a": [{"b": -1.5e3}, null, true]}}')}]${close}`, expected: { calls: [['search', '{"filter": {"a": [{"b": -1.5e3}, null, true]}}']] } },
    { what: 'letters of many scripts', text: `${open}[${object('search', '{"query": "北京 naïve 🌧️ \\ud83c\\udf0d"}')}]${close}`, expected: { calls: [['search', '{"query": "北京 naïve 🌧️ \\ud83c\\udf0d"}']] } },
    { what: 'markers within strings', text: `${open}[${object('search', `{"query": "${open}[{}]${close} \\"]}"}`)}]${close}`, expected: { calls: [['search', `{"query": "${open}[{}]${close} \\"]}"}`]] } },
    { what: 'arguments in a string', text: `${open}[${object('get_weather', '"{\\"city\\": \\"Paris\\"}"')}]${close}`, expected: called },
    { what: 'a tool that the request does not have', text: `${open}[${object('get_rain', '{}')}]${close}`, expected: { calls: [['get_rain', '{}']] } },
    { what: 'arguments cut off', text: `${open}[${object('search', '{"query": "te').split('"te')[0]!}"te`, expected: { calls: [['search', '{"query": "te']] } },
    { what: 'a marker cut off: content', text: `Well. ${open.slice(0, -2)}`, expected: { content: `Well. ${open.slice(0, -2)}` } },
    { what: 'what is no call: content', text: `${open}[1, 2]${close} is a list.`, expected: { content: `${open}[1, 2]${close} is a list.` } },
    { what: 'text alone', text: 'a < b, [x] and {"name": 1}', expected: { content: 'a < b, [x] and {"name": 1}' } }
  ]
}
