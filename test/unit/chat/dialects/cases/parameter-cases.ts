import type { AnswerCase } from '../answer-cases.ts'

/** How a format writes calls whose arguments stand one by one. */
export interface ParameterFormat {
  /** Arguments as they are written. */
  readonly call: (name: string, values: readonly (readonly [name: string, value: string])[]) => string
  readonly valueEnd: string
}

/** What every format has to read whose texts have no quotes. */
export function parameterCases ({ call, valueEnd }: ParameterFormat): readonly AnswerCase[] {
  const paris = call('get_weather', [['city', 'Paris']])
  const called = { calls: [['get_weather', '{"city": "Paris"}']] } as const
  const cut = (text: string, at: string): string => text.slice(0, text.indexOf(at) + at.length)
  const types: readonly (readonly [string, string])[] = [['limit', '5'], ['ratio', '-0.5'], ['exact', 'true'], ['tags', '["a", "b"]'], ['filter', '{"x": {"y": [1, null]}}']]
  return [
    { what: 'a call', text: paris, expected: called },
    { what: 'two calls', text: `${paris}\n${call('get_time', [['city', 'Oslo']])}`, expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] } },
    { what: 'no arguments', text: call('get_time', []), expected: { calls: [['get_time', '{}']] } },
    { what: 'text before a call', text: `Let me look.\n\n${paris}`, expected: { content: 'Let me look.', ...called } },
    { what: 'text after a call', text: `${paris}\nI wait.`, expected: { content: 'I wait.', ...called } },
    { what: 'reasoning before a call', text: `<think>\nHm.\n</think>\n\n${paris}`, expected: { reasoning: 'Hm.', ...called } },
    {
      what: 'values of all types, by the schema',
      text: call('search', types),
      expected: { calls: [['search', '{"limit": 5, "ratio": -0.5, "exact": true, "tags": ["a", "b"], "filter": {"x": {"y": [1, null]}}}']] }
    },
    { what: 'texts that look like something else', text: call('search', [['query', '5'], ['city', 'true']]), expected: { calls: [['search', '{"query": "5", "city": "true"}']] } },
    { what: 'constants as Python has them', text: call('search', [['exact', 'False'], ['note', 'None']]), expected: { calls: [['search', '{"exact": false, "note": null}']] } },
    { what: 'values that may be of several types', text: call('search', [['note', 'null and void'], ['either', '["a"]']]), expected: { calls: [['search', '{"note": "null and void", "either": ["a"]}']] } },
    { what: 'values of the wrong type: texts', text: call('search', [['limit', 'many'], ['filter', '{"x": ']]), expected: { calls: [['search', '{"limit": "many", "filter": "{\\"x\\": "}']] } },
    { what: 'parameters that the schema does not have', text: call('search', [['page', '2'], ['mood', 'calm']]), expected: { calls: [['search', '{"page": 2, "mood": "calm"}']] } },
    { what: 'a tool that the request does not have', text: call('get_rain', [['days', '3'], ['city', 'Bonn']]), expected: { calls: [['get_rain', '{"days": 3, "city": "Bonn"}']] } },
    {
      what: 'lines, quotes, markers and many scripts in a text',
      text: call('search', [['query', 'if (a < b) {\n  "x\\y"\t</tool_call> 京🌧️\n}'], ['limit', '1']]),
      expected: { calls: [['search', '{"query": "if (a < b) {\\n  \\"x\\\\y\\"\\t</tool_call> 京🌧️\\n}", "limit": 1}']] }
    },
    { what: 'an empty text', text: call('search', [['query', '']]), expected: { calls: [['search', '{"query": ""}']] } },
    { what: 'a text cut off', text: cut(call('search', [['query', 'tea and cake']]), 'tea an'), expected: { calls: [['search', '{"query": "tea an']] } },
    { what: 'another value cut off', text: cut(call('search', [['query', 'x'], ['tags', '["a", "b"]']]), '["a",'), expected: { calls: [['search', '{"query": "x", "tags": ["a",']] } },
    { what: 'an answer cut off between parameters', text: cut(call('search', [['query', 'x']]), valueEnd), expected: { calls: [['search', '{"query": "x"']] } },
    { what: 'text alone', text: 'a < b, <tool and <parameter=x>', expected: { content: 'a < b, <tool and <parameter=x>' } }
  ]
}
