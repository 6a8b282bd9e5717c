import { describe, expect, it } from 'vitest'
import type { ToolDefinition } from '../../../src/chat/chat-message.ts'
import { dialectNamed } from '../../../src/chat/dialects/dialects.ts'
import { reasoningTags } from '../../../src/chat/dialects/reasoning.ts'
import { type ToolGrammarOptions, formattedAnswerGrammar, maxSchemaCharacters, optionalCallGrammar, requiredCallGrammar } from '../../../src/chat/tool-grammar.ts'
import { ToolGrammars } from '../../../src/chat/tool-grammars.ts'
import { toolDialects, type ToolDialect } from '../../../src/domain/tool-dialect.ts'
import { checkGbnf } from '../../../src/engine/llama-cpp/gbnf-check.ts'
import { GbnfMatcher } from '../../support/gbnf-matcher.ts'
import { collect, formatOf, partsOf } from './dialects/answer-cases.ts'

const city = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
const tools: readonly ToolDefinition[] = [
  { name: 'get_weather', parameters: city, isStrict: false },
  { name: 'get_time', isStrict: false }
]
const [think] = reasoningTags

const optionsOf = (dialect: ToolDialect, changes: Partial<ToolGrammarOptions> = {}): ToolGrammarOptions => ({
  dialect: dialectNamed(dialect),
  tools,
  callable: new Set(tools.map(({ name }) => name)),
  template: '',
  prompt: '',
  isParallel: true,
  reasoning: null,
  ...changes
})

const matcherOf = (grammar: string): GbnfMatcher => {
  checkGbnf(grammar)
  return new GbnfMatcher(`${grammar}\n`)
}
const accepts = (grammar: string, text: string): boolean => matcherOf(grammar).widthOf(text) > 0

/** One and two calls as each format's grammar has them, and what is no call. */
const written: readonly (readonly [ToolDialect, Partial<ToolGrammarOptions>, one: string, two: string | null])[] = [
  ['hermes', {},
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'],
  ['generic', {}, '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>', null],
  ['llama', {},
    '{"name": "get_weather", "parameters": {"city": "Paris"}}',
    '{"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "get_time", "parameters": {}}'],
  ['mistral', {},
    '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]'],
  ['mistral', { template: '[TOOL_CALLS]x[ARGS]' },
    '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}',
    '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[ARGS]{}'],
  ['deepseek', {},
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>get_time<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>'],
  ['deepseek', { template: '```json' },
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>', null],
  ['granite', {},
    '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]'],
  ['gemma', {}, '```tool_code\n{"name": "get_weather", "parameters": {"city": "Paris"}}\n```', null],
  ['harmony', {}, '<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}', null],
  ['functionary', {},
    '<function=get_weather>{"city": "Paris"}</function>',
    '<function=get_weather>{"city": "Paris"}</function><function=get_time>{}</function>'],
  ['functionary', { template: '>>>all', prompt: '>>>' }, 'get_weather\n{"city": "Paris"}', 'get_weather\n{"city": "Paris"}>>>get_time\n{}'],
  ['functionary', { template: '>>>all' }, '>>>get_weather\n{"city": "Paris"}', null],
  ['qwen-coder', {},
    '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>',
    '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>'],
  ['qwen-coder', { template: '<seed:tool_call>' }, '<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>\n</seed:tool_call>', null],
  ['glm', {},
    '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>',
    '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>\n<tool_call>get_time\n</tool_call>'],
  ['glm', { template: '</arg_key><arg_value>' },
    '<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>',
    '<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call><tool_call>get_time</tool_call>'],
  ['minimax', {},
    '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n</invoke>\n</minimax:tool_call>',
    '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n</invoke>\n<invoke name="get_time">\n</invoke>\n</minimax:tool_call>'],
  ['kimi', {},
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|><|tool_calls_section_end|>',
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|><|tool_call_begin|>functions.get_time:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>'],
  ['cohere', {},
    '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}}\n]<|END_ACTION|>',
    '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}},\n    {"tool_call_id": "1", "tool_name": "get_time", "parameters": {}}\n]<|END_ACTION|>'],
  ['nemotron', {},
    '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris"}}]</TOOLCALL>',
    '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]</TOOLCALL>'],
  ['phi', {},
    '<|tool_call|>{"name": "get_weather", "arguments": {"city": "Paris"}}<|/tool_call|>',
    '<|tool_call|>{"name": "get_weather", "arguments": {"city": "Paris"}}<|/tool_call|><|tool_call|>{"name": "get_time", "arguments": {}}<|/tool_call|>'],
  ['phi', { template: 'functools[' }, 'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]', 'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]'],
  ['lfm', {}, '<|tool_call_start|>[get_weather(city="Paris")]<|tool_call_end|>', '<|tool_call_start|>[get_weather(city="Paris"), get_time()]<|tool_call_end|>'],
  ['lfm', { template: '"arguments": ' },
    '<|tool_call_start|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|tool_call_end|>',
    '<|tool_call_start|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]<|tool_call_end|>'],
  ['pythonic', {}, '[get_weather(city="Paris")]', '[get_weather(city="Paris"), get_time()]']
]

describe.each(written)('grammars for calls in the format of %s %j', (dialect, changes, one, two) => {
  const options = optionsOf(dialect, changes)
  const { grammar, grammarTrigger } = requiredCallGrammar(options)
  const read = (text: string) => collect(partsOf(formatOf(dialect, { template: options.template, prompt: options.prompt }), [text]))

  it('take calls, from the first character on', () => {
    expect(grammarTrigger).toBe(null)
    expect(accepts(grammar, one)).toBe(true)
    if (two !== null) expect(accepts(grammar, two)).toBe(true)
  })

  it('take calls or a content of some format, which the reader takes for content', () => {
    // Names that the rules around it have as well, and texts that look like names.
    const format = 'root ::= call "{" text "}"\ncall ::= [call]{0,1}\ntext ::= "root" | "t"*'
    const formatted = formattedAnswerGrammar(format, { ...options, continuesContent: false })
    expect(formatted.grammarTrigger).toBe(null)
    const content = options.dialect.content?.('', { ...options, define: (name) => name }).includes('all') === true
      ? 'all\n{root}'
      : dialect === 'harmony' ? '<|channel|>final<|message|>{root}' : '{root}'
    for (const text of [one, content, content.replace('root', 'ttt')]) expect(matcherOf(formatted.grammar).accepts(text)).toBe(true)
    expect(matcherOf(formatted.grammar).accepts(content.replace('root', 'x'))).toBe(false)
    expect(read(content)).toEqual({ content: '{root}' })
  })

  it('take what the format\'s reader reads', () => {
    expect(read(one)).toEqual({ calls: [['get_weather', '{"city": "Paris"}']] })
    if (two !== null) expect(read(two)).toEqual({ calls: [['get_weather', '{"city": "Paris"}'], ['get_time', '{}']] })
  })

  it('take nothing else', () => {
    for (const text of ['', 'Hello', one.slice(0, -1), ...(one.includes('Paris"') ? [one.replace('Paris"', 'Paris')] : []), one.replace('city', 'town'), one.replace('get_weather', 'get_rain'), `Well. ${one}`]) {
      expect(accepts(grammar, text)).toBe(false)
    }
  })

  it('take one call where there may be only one', () => {
    const single = requiredCallGrammar({ ...options, isParallel: false }).grammar
    expect(accepts(single, one)).toBe(true)
    if (two !== null) expect(accepts(single, two)).toBe(false)
  })

  it('take the named tool alone', () => {
    const named = requiredCallGrammar({ ...options, callable: new Set(['get_time']) }).grammar
    expect(accepts(named, one)).toBe(false)
    const time = one.replace('get_weather', 'get_time').replace('{"city": "Paris"}', '{}').replace('city="Paris"', '')
      .replace(/<parameter[^]*<\/parameter>\n|<arg_key>[^]*<\/arg_value>\n?/, '')
    expect(accepts(named, time)).toBe(true)
  })
})

describe('a grammar for calls', () => {
  it('lets a model reason first where its template says that it does', () => {
    const reasoning = { tags: think!, isOpen: false }
    const { grammar } = requiredCallGrammar(optionsOf('hermes', { reasoning }))
    const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
    expect(accepts(grammar, call)).toBe(true)
    expect(accepts(grammar, `<think>\nI </thin <</think> k.\n</think>\n\n${call}`)).toBe(false)
    expect(accepts(grammar, `<think>\nI </thin <</thi k.\n</think>\n\n${call}`)).toBe(true)
    expect(accepts(grammar, `I think.</think>${call}`)).toBe(false)
  })

  it('lets a model end the reasoning that the prompt has begun', () => {
    const { grammar } = requiredCallGrammar(optionsOf('hermes', { reasoning: { tags: think!, isOpen: true } }))
    const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
    expect(accepts(grammar, `I think.\n</think>\n\n${call}`)).toBe(true)
    expect(accepts(grammar, `</think>${call}`)).toBe(true)
    expect(accepts(grammar, call)).toBe(false)
  })

  it('lets harmony analyse first', () => {
    const { grammar } = requiredCallGrammar(optionsOf('harmony'))
    const call = '<|channel|>commentary to=functions.get_time <|constrain|>json<|message|>{}'
    expect(accepts(grammar, `<|channel|>analysis<|message|>I need the time.<|end|><|start|>assistant${call}`)).toBe(true)
  })

  it('counts from the format\'s own marker on where calls are the model\'s choice', () => {
    expect(toolDialects.map((name) => [name, optionalCallGrammar(optionsOf(name))?.grammarTrigger])).toEqual([
      ['hermes', '<tool_call>'],
      ['llama', undefined],
      ['mistral', '[TOOL_CALLS]'],
      ['deepseek', '<｜tool▁calls▁begin｜>'],
      ['granite', '<|tool_call|>'],
      ['gemma', '```tool_code'],
      ['harmony', ' to=functions.'],
      ['functionary', '<function='],
      ['qwen-coder', '<tool_call>'],
      ['glm', '<tool_call>'],
      ['minimax', '<minimax:tool_call>'],
      ['kimi', '<|tool_calls_section_begin|>'],
      ['cohere', '<|START_ACTION|>'],
      ['nemotron', '<TOOLCALL>'],
      ['phi', '<|tool_call|>'],
      ['lfm', '<|tool_call_start|>'],
      ['pythonic', undefined],
      ['generic', '<tool_call>']
    ])
    for (const name of toolDialects) {
      const found = optionalCallGrammar(optionsOf(name))
      if (found !== null) checkGbnf(found.grammar)
    }
  })

  it('knows both places of harmony\'s recipient', () => {
    const { grammar } = optionalCallGrammar(optionsOf('harmony'))!
    for (const text of [
      ' to=functions.get_time <|constrain|>json<|message|>{}',
      ' to=functions.get_time<|channel|>commentary <|constrain|>json<|message|>{}',
      ' to=functions.get_time<|channel|>commentary json<|message|>{}',
      ' to=functions.get_time code<|message|>{}'
    ]) expect(accepts(grammar, text)).toBe(true)
    expect(accepts(grammar, ' to=functions.get_rain <|constrain|>json<|message|>{}')).toBe(false)
  })

  it('is one for whole answers of Llama where a tool is strict', () => {
    const { grammar, grammarTrigger } = optionalCallGrammar(optionsOf('llama', { tools: [{ ...tools[0]!, isStrict: true }] }))!
    expect(grammarTrigger).toBe(null)
    for (const text of ['It is sunny. {"name": 1}', 'Hello', '<b>x</b>', '{"name": "get_weather", "parameters": {"city": "Paris"}}', '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}']) {
      expect(accepts(grammar, text)).toBe(true)
    }
    for (const text of ['{"name": "get_weather", "parameters": {"town": "Paris"}}', '{"name": "get_weather"}', '<|python_tag|>x']) {
      expect(accepts(grammar, text)).toBe(false)
    }
  })

  it('is refused where a strict tool cannot be held', () => {
    const strict = [tools[1]!, { ...tools[0]!, isStrict: true }]
    expect(() => optionalCallGrammar(optionsOf('functionary', { template: '>>>all', tools: strict }))).toThrow(
      expect.objectContaining({ code: 'unsupported_value', param: 'tools[1].function.strict' }))
    const unholdable = { name: 'f', parameters: { type: 'object', properties: { a: { not: { type: 'string' } } } }, isStrict: true }
    expect(() => requiredCallGrammar(optionsOf('hermes', { tools: [unholdable], callable: new Set(['f']) }))).toThrow(
      expect.objectContaining({ code: 'unsupported_value', param: 'tools[0].function.parameters.properties.a.not' }))
  })

  it('takes any object for a tool that is not strict and whose schema it cannot hold', () => {
    const loose = { name: 'f', parameters: { type: 'object', properties: { a: { not: { type: 'string' } } } }, isStrict: false }
    const { grammar } = requiredCallGrammar(optionsOf('llama', { tools: [loose], callable: new Set(['f']) }))
    expect(accepts(grammar, '{"name": "f", "parameters": {"b": [1, null]}}')).toBe(true)
    expect(accepts(grammar, '{"name": "f", "parameters": [1]}')).toBe(false)
  })

  const large = (index: number, isStrict: boolean): ToolDefinition => ({
    name: `f${index}`,
    parameters: { type: 'object', properties: Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`a_rather_long_name_${index}_${at}`, { type: 'string' }])), required: [] },
    isStrict
  })
  const grammarOf = (many: readonly ToolDefinition[], dialect: ToolDialect = 'llama'): string =>
    requiredCallGrammar(optionsOf(dialect, { tools: many, callable: new Set(many.map(({ name }) => name)) })).grammar

  it('takes any object for the largest tools where all of them would be too large', () => {
    const many = Array.from({ length: 100 }, (_, index) => large(index, index === 7))
    const grammar = grammarOf(many)
    checkGbnf(grammar)
    expect(grammar).toContain('a_rather_long_name_7_99')
    // As many as there is room for.
    expect(many.filter((_, index) => grammar.includes(`a_rather_long_name_${index}_99`)).length).toBeGreaterThan(4)
    expect(() => grammarOf(many.map((tool) => ({ ...tool, isStrict: true })))).toThrow(
      expect.objectContaining({ code: 'unsupported_value', param: 'tools' }))
  })

  it('takes any object for the last tools where all of them would take too long to write, strict ones before', () => {
    // Much to find out, and one text that fits.
    const parameters = {
      type: 'object', properties: { a: { type: 'string', allOf: [{ pattern: '^(a|b)*a(a|b){8}$' }, { pattern: '^a{9}$' }] } }, required: ['a'], additionalProperties: false
    }
    const many = Array.from({ length: 128 }, (_, index): ToolDefinition => ({ name: `tool_${index}`, parameters, isStrict: index === 127 }))
    const options = optionsOf('hermes', { tools: many, callable: new Set(many.map(({ name }) => name)) })
    const grammar = requiredCallGrammar(options)?.grammar ?? ''
    const takes = (tool: number, argumentText: string): boolean => accepts(grammar, `<tool_call>\n{"name": "tool_${tool}", "arguments": ${argumentText}}\n</tool_call>`)
    for (const tool of [0, 126, 127]) expect(takes(tool, '{"a": "aaaaaaaaa"}')).toBe(true)
    expect([0, 126, 127].map((tool) => takes(tool, '{"b": 1}'))).toEqual([false, true, false])
    const strict = many.map((tool) => ({ ...tool, isStrict: true }))
    expect(() => requiredCallGrammar({ ...options, tools: strict })).toThrow(expect.objectContaining({ code: 'unsupported_value', param: 'tools', message: expect.stringContaining('too long') as string }))
  })

  it('has room for the format beside the largest schemas, with as many tools as a request may have', () => {
    const many = Array.from({ length: 128 }, (_, index): ToolDefinition => ({ name: `${index}`.padStart(64, 'x'), isStrict: true }))
    for (const name of toolDialects) {
      for (const template of ['', '```json', '>>>all']) {
        const required = requiredCallGrammar(optionsOf(name, { template, tools: many, callable: new Set(many.map((tool) => tool.name)), reasoning: { tags: think!, isOpen: false } }))
        expect(required.grammar.length).toBeLessThan(262_144 - maxSchemaCharacters)
      }
    }
  })
})

describe('kept grammars', () => {
  it('are those that would be written, for each request its own', () => {
    const kept = new ToolGrammars()
    const requests = [
      optionsOf('hermes'), optionsOf('llama'), optionsOf('hermes', { isParallel: false }), optionsOf('hermes', { callable: new Set(['get_time']) }),
      optionsOf('hermes', { tools: [tools[1]!] }), optionsOf('hermes', { reasoning: { tags: think!, isOpen: true } }),
      optionsOf('functionary', { template: '>>>all', prompt: '>>>' }), optionsOf('functionary', { template: '>>>all', prompt: '' })
    ]
    for (let round = 0; round < 2; round++) {
      for (const request of requests) {
        expect(kept.required(request)).toEqual(requiredCallGrammar(request))
        expect(kept.optional(request)).toEqual(optionalCallGrammar(request))
      }
    }
    expect(kept.required(requests[0]!)).toBe(kept.required(requests[0]!))
  })
})
