import { describe, expect, it } from 'vitest'
import { formatGrammar } from '../../../../src/chat/structured/grammar-rules.ts'
import { jsonSchemaGrammar } from '../../../../src/chat/structured/json-schema-grammar.ts'
import { OutputGrammars } from '../../../../src/chat/structured/output-grammars.ts'
import { checkGbnf } from '../../../../src/engine/llama-cpp/gbnf-check.ts'
import { GbnfMatcher } from '../../../support/gbnf-matcher.ts'

describe('grammars of several schemas', () => {
  it('fit into one, each with a prefix of its own', () => {
    const one = jsonSchemaGrammar({ type: 'object', properties: { a: { type: 'string' } }, required: ['a'], additionalProperties: false }, { prefix: 'one', param: 'tools[0]' })
    const two = jsonSchemaGrammar({ type: 'object', properties: { a: { type: 'integer' } } }, { prefix: 'two', param: 'tools[1]' })
    const grammar = formatGrammar([['root', `"<call>" ( ${one.rootRule} | ${two.rootRule} ) "</call>"`], ...one.rules, ...two.rules])
    checkGbnf(grammar)
    expect([...one.rules.keys()].every((name) => name.startsWith('one-'))).toBe(true)
    expect(new Set([...one.rules.keys(), ...two.rules.keys()]).size).toBe(one.rules.size + two.rules.size)
    const matcher = new GbnfMatcher(grammar)
    expect(matcher.accepts('<call>{"a":"x"}</call>')).toBe(true)
    expect(matcher.accepts('<call>{"a":1,"b":[]}</call>')).toBe(true)
    expect(matcher.accepts('<call>{"b":"x"')).toBe(false)
  })

  it('do not depend on what was made before', () => {
    const schema = { type: 'array', items: { enum: ['a', 'b'] }, maxItems: 3 }
    expect(jsonSchemaGrammar(schema, { prefix: 's', param: 'x' })).toEqual(jsonSchemaGrammar(structuredClone(schema), { prefix: 's', param: 'x' }))
  })
})

describe('long texts to choose from', () => {
  const longTexts = (count: number, length: number): string[] => Array.from({ length: count }, (_, index) => `${index}`.padStart(length, `${index}.`))

  it.each([
    ['choices', { kind: 'choice', param: 'x', texts: longTexts(40, 10_000) }],
    ['values of an enumeration', { kind: 'json-schema', param: 'x', schema: { enum: longTexts(40, 10_000) }, strictName: null }],
    ['names that others are told from', { kind: 'json-schema', param: 'x', schema: { properties: Object.fromEntries(longTexts(40, 10_000).map((name) => [name, { type: 'integer' }])) }, strictName: null }]
  ] as const)('are refused before they fill the memory: %s', (_what, format) => {
    expect(() => new OutputGrammars().of(format)).toThrow(expect.objectContaining({ code: 'unsupported_value', message: expect.stringContaining('takes too long') }))
  })

  it('may be many, and long, and begin alike', () => {
    const texts = ['x'.repeat(9000), ...Array.from({ length: 1000 }, (_, index) => `${'y'.repeat(1000)}${index}`)]
    const matcher = new GbnfMatcher(new OutputGrammars().of({ kind: 'choice', param: 'x', texts })!)
    expect([texts[0]!, texts[1]!, texts[1000]!, `${texts[1]}x`].map((text) => matcher.accepts(text))).toEqual([true, true, true, false])
  })
})

describe('kept grammars', () => {
  const schemaOf = (schema: unknown) => ({ kind: 'json-schema', param: 'x', schema, strictName: null }) as const

  it('are made once for equal schemas', () => {
    const grammars = new OutputGrammars()
    let reads = 0
    // A getter is read when the key is made, and again for each property that is written.
    const counted = () => schemaOf({ type: 'object', properties: { get a () { reads++; return { type: 'integer' } } } })
    const first = grammars.of(counted())
    const readsWhenMade = reads
    expect(grammars.of(counted())).toBe(first)
    expect(reads - readsWhenMade).toBe(1)
    expect(readsWhenMade).toBeGreaterThan(1)
  })

  it('tell apart what differs in order, in strictness or in its field', () => {
    const grammars = new OutputGrammars()
    const [ab, ba] = [{ a: {}, b: {} }, { b: {}, a: {} }].map((properties) => new GbnfMatcher(grammars.of(schemaOf({ type: 'object', properties }))!))
    expect([ab!, ba!].map((matcher) => matcher.accepts('{"a":1,"b":2}'))).toEqual([true, false])
    const open = { type: 'object', properties: {} }
    expect(grammars.of(schemaOf(open))).not.toBeNull()
    expect(() => grammars.of({ ...schemaOf(open), strictName: 'open' })).toThrow('Invalid schema for response_format \'open\'')
  })

  it('are refused again, as they were, without another look', () => {
    const grammars = new OutputGrammars()
    let reads = 0
    const counted = () => schemaOf({ type: 'string', get pattern () { reads++; return '(' } })
    const refusal = expect.objectContaining({ code: 'invalid_value', param: 'x.pattern', message: expect.stringContaining('without ")"') })
    expect(() => grammars.of(counted())).toThrow(refusal)
    const readsWhenMade = reads
    expect(readsWhenMade).toBeGreaterThan(1)
    expect(() => grammars.of(counted())).toThrow(refusal)
    // Once, to see that it is the same.
    expect(reads - readsWhenMade).toBe(1)
  })

  it('are not mistaken for those of numbers of which there is no JSON', () => {
    const grammars = new OutputGrammars()
    expect(() => grammars.of(schemaOf({ enum: [Infinity] }))).toThrow('a number is too large')
    expect(new GbnfMatcher(grammars.of(schemaOf({ enum: [null] }))!).accepts('null')).toBe(true)
  })

  it('are checked where the client has written them', () => {
    const grammars = new OutputGrammars()
    expect(grammars.of({ kind: 'grammar', grammar: 'root ::= "a"' })).toBe('root ::= "a"')
    expect(() => grammars.of({ kind: 'grammar', grammar: 'root ::= a' })).toThrow(expect.objectContaining({ code: 'invalid_grammar', param: 'grammar' }))
  })
})
