import type { AnswerCase } from '../answer-cases.ts'

const turns = { template: '{# >>>all #}', prompt: '<|start_header_id|>assistant<|end_header_id|>\n\n>>>' }

export const functionaryCases: readonly AnswerCase[] = [
  { what: 'text of v3.2', text: 'all\nHello!', format: turns, expected: { content: 'Hello!' } },
  {
    what: 'a call of v3.2',
    text: 'get_weather\n{"city": "Paris"}',
    format: turns,
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'two calls of v3.2',
    text: 'get_weather\n{"city": "Paris"}>>>get_time\n{"city": "Oslo"}',
    format: turns,
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{"city": "Oslo"}']] }
  },
  {
    what: 'text and a call of v3.2',
    text: 'all\nLet me look.\n>>>search\n{"query": ">>> tea"}\n',
    format: turns,
    expected: { content: 'Let me look.', calls: [['search', '{"query": ">>> tea"}']] }
  },
  {
    what: 'code of v3.2',
    text: 'code_interpreter\nprint("x")\n',
    format: turns,
    expected: { calls: [['code_interpreter', '{"code": "print(\\"x\\")\\n"}']] }
  },
  {
    what: 'a first marker that the prompt does not have',
    text: '>>>get_time\n{}',
    format: { template: turns.template },
    expected: { calls: [['get_time', '{}']] }
  },
  { what: 'text of v3.2 with a bigger than', text: 'all\n1 >> 0 > -1', format: turns, expected: { content: '1 >> 0 > -1' } },
  {
    what: 'text of v3.2 without tools',
    text: 'all\nHello!',
    format: { ...turns, tools: null },
    expected: { content: 'Hello!' }
  },
  {
    what: 'a call of v3.2 cut off',
    text: 'search\n{"query": "te',
    format: turns,
    expected: { calls: [['search', '{"query": "te']] }
  },
  { what: 'a call of v3.1', text: '<function=get_weather>{"city": "Paris"}</function>', expected: { calls: [['get_weather', '{"city": "Paris"}']] } },
  {
    what: 'two calls of v3.1',
    text: '<function=get_weather>{"city": "Paris"}</function>\n<function=get_time>{}</function>',
    expected: { calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] }
  },
  {
    what: 'text and a call of v3.1',
    text: 'Let me look. <function=search>{"query": "</function>"}</function> Done.',
    expected: { content: 'Let me look.  Done.', calls: [['search', '{"query": "</function>"}']] }
  },
  { what: 'text of v3.1', text: 'f < g, <function x', expected: { content: 'f < g, <function x' } },
  {
    what: 'broken arguments of v3.1: as they are',
    text: '<function=search>{"query": tea!}</function>',
    expected: { calls: [['search', '{"query": tea!}']] }
  },
  { what: 'a call of v3.1 cut off', text: '<function=search>{"que', expected: { calls: [['search', '{"que']] } }
]
