import type { AnswerCase } from '../answer-cases.ts'

const fenced = (name: string, json: string): string => `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n${json}\n\`\`\`<｜tool▁call▁end｜>`

export const deepseekCases: readonly AnswerCase[] = [
  {
    what: 'a call of V3',
    text: `<｜tool▁calls▁begin｜>${fenced('get_weather', '{"city": "Paris"}')}<｜tool▁calls▁end｜>`,
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two calls of V3',
    text: `<｜tool▁calls▁begin｜>${fenced('get_weather', '{"city":"Paris"}')}\n${fenced('get_time', '{\n  "city": "Oslo"\n}')}<｜tool▁calls▁end｜>`,
    expected: { calls: [['get_weather', '{"city":"Paris"}'], ['get_time', '{\n  "city": "Oslo"\n}']] }
  },
  {
    what: 'a call of V3.1',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two calls of V3.1',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_time<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] }
  },
  {
    what: 'text before a call',
    text: `Let me check.\n\n<｜tool▁calls▁begin｜>${fenced('search', '{"query": "tea"}')}<｜tool▁calls▁end｜>`,
    expected: { content: 'Let me check.', calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'reasoning that the prompt began',
    text: `The user asks for the weather.\n</think>\n\n<｜tool▁calls▁begin｜>${fenced('get_weather', '{"city": "Paris"}')}<｜tool▁calls▁end｜>`,
    format: { prompt: '<｜Assistant｜><think>\n' },
    expected: { reasoning: 'The user asks for the weather.', calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'reasoning that the model begins once more',
    text: '<think>\nHm.\n</think>\nHello!',
    format: { prompt: '<｜Assistant｜><think>\n' },
    expected: { reasoning: 'Hm.', content: 'Hello!' }
  },
  {
    what: 'empty reasoning',
    text: '<think>\n\n</think>\n\nHello!',
    expected: { content: 'Hello!' }
  },
  {
    what: 'reasoning without an end',
    text: 'I think and think',
    format: { prompt: '<think>' },
    expected: { reasoning: 'I think and think' }
  },
  {
    what: 'text alone',
    text: 'a < b, <｜ is no marker',
    expected: { content: 'a < b, <｜ is no marker' }
  },
  {
    what: 'another spelling of the first marker',
    text: `<｜tool_calls_begin｜>${fenced('get_time', '{}')}<｜tool▁calls▁end｜>`,
    expected: { calls: [['get_time', '{}']] }
  },
  {
    what: 'no outer markers',
    text: fenced('get_time', '{"city": "Rome"}'),
    expected: { calls: [['get_time', '{"city": "Rome"}']] }
  },
  {
    what: 'markers within strings',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>search<｜tool▁sep｜>{"query": "<｜tool▁call▁end｜>```"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { calls: [['search', '{"query": "<｜tool▁call▁end｜>```"}']] }
  },
  {
    what: 'no fence',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_time\n{"city": "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { calls: [['get_time', '{"city": "Rome"}']] }
  },
  {
    what: 'broken arguments: as they are',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>search<｜tool▁sep｜>{"query": tea & cake}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { calls: [['search', '{"query": tea & cake}']] }
  },
  {
    what: 'an answer cut off within arguments',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>search\n```json\n{"query": "t',
    expected: { calls: [['search', '{"query": "t']] }
  },
  {
    what: 'a name cut off: content',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>sea',
    expected: { content: '<｜tool▁call▁begin｜>function<｜tool▁sep｜>sea' }
  },
  {
    what: 'a tool that is called like the word before names',
    text: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { calls: [['function', '{}']] }
  },
  {
    what: 'text after the calls',
    text: `<｜tool▁calls▁begin｜>${fenced('get_time', '{}')}<｜tool▁calls▁end｜>\nDone.`,
    expected: { content: 'Done.', calls: [['get_time', '{}']] }
  }
]
