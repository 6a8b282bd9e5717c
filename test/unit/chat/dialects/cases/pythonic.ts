import type { AnswerCase } from '../answer-cases.ts'

export const pythonicCases: readonly AnswerCase[] = [
  { what: 'a call', text: '[get_weather(city="Paris")]', expected: { calls: [['get_weather', '{"city": "Paris"}']] } },
  { what: 'two calls', text: '[get_weather(city="Paris"), get_time(city=\'Oslo\')]', expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] } },
  { what: 'calls in lines', text: '\n[\n  get_weather(city="Paris"),\n  get_time(),\n]', expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] } },
  { what: 'markers around it', text: '<|python_start|>[get_time()]<|python_end|>', expected: { calls: [['get_time', '{}']] } },
  {
    what: 'values of all types',
    text: '[search(query="a (b) ]", limit=5, ratio=-0.5, exact=False, note=None, tags=["x", \'y\'], filter={"a": [{"b": True}]})]',
    expected: { calls: [['search', '{"query": "a (b) ]", "limit": 5, "ratio": -0.5, "exact": false, "note": null, "tags": ["x", "y"], "filter": {"a": [{"b": true}]}}']] }
  },
  { what: 'values as JSON has them', text: '[search(exact=true, note=null, query="a\\/b \\u00e9")]', expected: { calls: [['search', '{"exact": true, "note": null, "query": "a/b é"}']] } },
  { what: 'many scripts', text: '[search(query="京🌧️ naïve")]', expected: { calls: [['search', '{"query": "京🌧️ naïve"}']] } },
  { what: 'text after the list', text: '[get_time()] I wait.', expected: { content: 'I wait.', calls: [['get_time', '{}']] } },
  { what: 'reasoning before the list', text: '<think>Hm.</think>\n\n[get_time()]', expected: { reasoning: 'Hm.', calls: [['get_time', '{}']] } },
  { what: 'a tool that the request does not have: content', text: '[get_rain(days=3)]', expected: { content: '[get_rain(days=3)]' } },
  { what: 'a list that is no call: content', text: '[1, 2] are numbers, [a link](x) is a link.', expected: { content: '[1, 2] are numbers, [a link](x) is a link.' } },
  { what: 'a list within text: content', text: 'Call [get_time()] for it.', expected: { content: 'Call [get_time()] for it.' } },
  { what: 'text alone', text: 'It is 5 o\'clock.', expected: { content: 'It is 5 o\'clock.' } },
  { what: 'a broken value: the rest as it is', text: '[search(query=tea)]', expected: { calls: [['search', '{)]']] } },
  { what: 'a call cut off', text: '[search(query="tea", limit=', expected: { calls: [['search', '{"query": "tea"']] } },
  { what: 'a call object in the list', text: '[{"name": "get_time", "arguments": {"city": "Oslo"}}]', expected: { calls: [['get_time', '{"city": "Oslo"}']] } }
]
