import type { AnswerCase } from '../answer-cases.ts'

export const harmonyCases: readonly AnswerCase[] = [
  {
    what: 'the rest of a message that the prompt has begun',
    text: ' to=nobody: B)<|return|>',
    expected: { content: ' to=nobody: B)' },
    format: { continuesContent: true, tools: null }
  },
  {
    what: 'the rest of a message that the prompt has begun, and a call after it',
    text: ' look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_time<|message|>{}<|call|>',
    expected: { content: ' look.', calls: [['get_time', '{}']] },
    format: { continuesContent: true }
  },
  {
    what: 'a final answer',
    text: '<|channel|>final<|message|>Hello!',
    expected: { content: 'Hello!' }
  },
  {
    what: 'analysis and a final answer',
    text: '<|channel|>analysis<|message|>The user greets. I greet.<|end|><|start|>assistant<|channel|>final<|message|>Hello!<|return|>',
    expected: { reasoning: 'The user greets. I greet.', content: 'Hello!' }
  },
  {
    what: 'a call',
    text: '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
    expected: { calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'analysis and a call',
    text: '<|channel|>analysis<|message|>I need the weather.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}',
    expected: { reasoning: 'I need the weather.', calls: [['get_weather', '{"city": "Paris"}']] }
  },
  {
    what: 'the recipient before the channel',
    text: '<|channel|>analysis<|message|>Time.<|end|><|start|>assistant to=functions.get_time<|channel|>commentary json<|message|>{}<|call|>',
    expected: { reasoning: 'Time.', calls: [['get_time', '{}']] }
  },
  {
    what: 'the recipient as the beginning',
    text: ' to=functions.get_time<|channel|>commentary <|constrain|>json<|message|>{"city":"Oslo"}<|call|>',
    expected: { calls: [['get_time', '{"city":"Oslo"}']] }
  },
  {
    what: 'a preamble and a call',
    text: '<|channel|>commentary<|message|>I look that up.<|end|><|start|>assistant<|channel|>commentary to=functions.search <|constrain|>json<|message|>{"query":"tea"}<|call|>',
    expected: { content: 'I look that up.', calls: [['search', '{"query":"tea"}']] }
  },
  {
    what: 'two calls',
    text: '<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{"city":"Oslo"}<|call|><|start|>assistant<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{"city":"Rome"}<|call|>',
    expected: { calls: [['get_time', '{"city":"Oslo"}'], ['get_time', '{"city":"Rome"}']] }
  },
  {
    what: 'a call on the channel of analysis',
    text: '<|channel|>analysis to=functions.search code<|message|>{"query": "tea"}<|call|>',
    expected: { calls: [['search', '{"query": "tea"}']] }
  },
  {
    what: 'two analyses',
    text: '<|channel|>analysis<|message|>First.<|end|><|start|>assistant<|channel|>analysis<|message|>Second.<|end|><|start|>assistant<|channel|>final<|message|>Done.',
    expected: { reasoning: 'First.\n\nSecond.', content: 'Done.' }
  },
  {
    what: 'a preamble and a final answer',
    text: '<|channel|>commentary<|message|>A moment.<|end|><|start|>assistant<|channel|>final<|message|>Done.<|return|>',
    expected: { content: 'A moment.\n\nDone.' }
  },
  {
    what: 'no frame at all',
    text: 'Hello there.',
    expected: { content: 'Hello there.' }
  },
  {
    what: 'line breaks in a final answer',
    text: '<|channel|>final<|message|>1 < 2\n\n<b>x</b>\n',
    expected: { content: '1 < 2\n\n<b>x</b>\n' }
  },
  {
    what: 'arguments that are not JSON: as they are',
    text: '<|channel|>commentary to=functions.search<|message|>tea & cake<|call|>',
    expected: { calls: [['search', 'tea & cake']] }
  },
  {
    what: 'analysis without an end',
    text: '<|channel|>analysis<|message|>I think and',
    expected: { reasoning: 'I think and' }
  },
  { what: 'a name cut off: nothing', text: '<|channel|>commentary to=functions.sea', expected: {} },
  {
    what: 'an answer cut off within arguments',
    text: '<|channel|>commentary to=functions.search <|constrain|>json<|message|>{"query": "te',
    expected: { calls: [['search', '{"query": "te']] }
  },
  {
    what: 'an answer to a request without tools',
    text: '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello!',
    format: { tools: null },
    expected: { reasoning: 'Hm.', content: 'Hello!' }
  }
]
