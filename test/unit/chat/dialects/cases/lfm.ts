import type { AnswerCase } from '../answer-cases.ts'
import { objectCases } from './object-cases.ts'

const tag = (text: string): string => `<|tool_call_start|>${text}<|tool_call_end|>`

export const lfmCases: readonly AnswerCase[] = [
  ...objectCases({ open: '<|tool_call_start|>', close: '<|tool_call_end|>', object: (name, argumentText) => `{"name": "${name}", "arguments": ${argumentText}}` }),
  { what: 'a Python call', text: tag('[get_weather(city="Paris")]'), expected: { calls: [['get_weather', '{"city": "Paris"}']] } },
  { what: 'two Python calls and text', text: `${tag('[get_weather(city=\'Paris\'), get_time()]')}I check.`, expected: { content: 'I check.', calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] } },
  { what: 'Python\'s values', text: tag('[search(query=\'<|tool_call_end|>)]\', exact=True, note=None, tags=["京🌧️"], filter={"a": {\'b\': 1.5}})]'), expected: { calls: [['search', '{"query": "<|tool_call_end|>)]", "exact": true, "note": null, "tags": ["京🌧️"], "filter": {"a": {"b": 1.5}}}']] } },
  { what: 'a Python call of a tool that the request does not have', text: tag('[get_rain(days=3)]'), expected: { calls: [['get_rain', '{"days": 3}']] } },
  { what: 'a Python call cut off', text: '<|tool_call_start|>[search(query="tea", limit=', expected: { calls: [['search', '{"query": "tea"']] } }
]
