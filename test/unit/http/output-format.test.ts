import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { GbnfMatcher } from '../../support/gbnf-matcher.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const inference = createScriptedInference(() => answerEvents(['x']))
let app: FastifyInstance
let logText: () => string
beforeAll(async () => { ({ app, logText } = await buildTestApp([createTestHost(inference)])) })
afterAll(async () => await app.close())

const chat = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }] }
const post = async (payload: object, url = '/v1/chat/completions') => await app.inject({ method: 'POST', url, payload })

/** The grammar that a request's answer follows. */
async function grammarFor (payload: object, url?: string): Promise<string | null> {
  const response = await post(payload, url)
  expect(response.json()).not.toHaveProperty('error')
  return inference.requests.at(-1)!.sampling.grammar
}

const person = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false }
const format = (schema: unknown, more: object = {}) => ({ response_format: { type: 'json_schema', json_schema: { name: 'person', schema, ...more } } })

describe('an output format', () => {
  it('of text asks for nothing', async () => {
    expect(await grammarFor({ ...chat, response_format: { type: 'text' } })).toBeNull()
    expect(await grammarFor({ ...chat, response_format: null, structured_outputs: null })).toBeNull()
  })

  it.each([
    ['a strict schema', format(person, { strict: true, description: 'Somebody' })],
    ['a schema', format(person, { strict: null, description: null })],
    ['a schema in JSON mode', { response_format: { type: 'json_object', schema: person } }],
    ['structured_outputs.json', { structured_outputs: { json: person, regex: null } }],
    ['structured_outputs.json as a string', { structured_outputs: { json: JSON.stringify(person) } }]
  ])('is %s', async (_name, member) => {
    for (const matcher of [new GbnfMatcher((await grammarFor({ ...chat, ...member }))!), new GbnfMatcher((await grammarFor({ model: 'test-model', prompt: 'x', ...member }, '/v1/completions'))!)]) {
      expect(matcher.accepts('{"name":"Ann","age":7}')).toBe(true)
      expect(matcher.accepts('{"name":"Ann"}')).toBe(false)
    }
  })

  it.each([
    ['JSON mode', { response_format: { type: 'json_object' } }],
    ['a schema that is left out', { response_format: { type: 'json_schema', json_schema: { name: 'x' } } }],
    ['structured_outputs.json_object', { structured_outputs: { json_object: true } }]
  ])('is any object: %s', async (_name, member) => {
    const matcher = new GbnfMatcher((await grammarFor({ ...chat, ...member }))!)
    expect(matcher.accepts('{"a":[1,{}]}')).toBe(true)
    expect(matcher.accepts('[1]')).toBe(false)
  })

  it('is a regular expression for the whole answer', async () => {
    const matcher = new GbnfMatcher((await grammarFor({ ...chat, structured_outputs: { regex: '(yes|no), "\\d{2}"\\n?' } }))!)
    expect(['yes, "12"', 'no, "00"\n'].every((text) => matcher.accepts(text))).toBe(true)
    expect(['yes', 'yes, "12"!', ' no, "00"'].some((text) => matcher.accepts(text))).toBe(false)
  })

  it('is one of several texts', async () => {
    const matcher = new GbnfMatcher((await grammarFor({ ...chat, structured_outputs: { choice: ['red', 'green "light"', 'grey', 'größer\n'] } }))!)
    expect(['red', 'green "light"', 'grey', 'größer\n'].every((text) => matcher.accepts(text))).toBe(true)
    expect(['re', 'redgrey', 'gre', '"red"'].some((text) => matcher.accepts(text))).toBe(false)
  })

  it('is a grammar', async () => {
    expect(await grammarFor({ ...chat, grammar: 'root ::= "a"' })).toBe('root ::= "a"')
    expect(await grammarFor({ ...chat, structured_outputs: { grammar: 'root ::= "b"' } })).toBe('root ::= "b"')
  })

  const at = 'response_format.json_schema.schema'
  it.each([
    ['an unknown type', { response_format: { type: 'xml' } }, 'invalid_value', 'response_format.type', '"json_schema"'],
    ['no type', { response_format: {} }, 'missing_required_parameter', 'response_format.type', ''],
    ['another type than an object', { response_format: 'json' }, 'invalid_value', 'response_format', 'an object'],
    ['an unknown member', { response_format: { type: 'text', x: 1 } }, 'unknown_parameter', 'response_format.x', ''],
    ['no json_schema', { response_format: { type: 'json_schema' } }, 'missing_required_parameter', 'response_format.json_schema', ''],
    ['no name', { response_format: { type: 'json_schema', json_schema: { schema: person } } }, 'missing_required_parameter', 'response_format.json_schema.name', ''],
    ['a bad name', { response_format: { type: 'json_schema', json_schema: { name: 'a b', schema: person } } }, 'invalid_value', 'response_format.json_schema.name', '1 to 64'],
    ['an unknown member of json_schema', format(person, { foo: 1 }), 'unknown_parameter', 'response_format.json_schema.foo', ''],
    ['a schema that is none', format([]), 'invalid_value', at, 'expected an object'],
    ['strict without a schema', { response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true } } }, 'missing_required_parameter', at, ''],
    ['strict of another type', format(person, { strict: 'yes' }), 'invalid_value', 'response_format.json_schema.strict', 'true or false'],
    ['strict with an open object', format({ ...person, additionalProperties: undefined }, { strict: true }), 'invalid_value', `${at}.additionalProperties`,
      'Invalid schema for response_format \'person\': In context=(), \'additionalProperties\' is required to be supplied and to be false.'],
    ['strict with an open object within', format({ ...person, properties: { name: { type: 'array', items: { type: 'object', properties: {} } }, age: {} } }, { strict: true }), 'invalid_value', `${at}.properties.name.items.additionalProperties`,
      'In context=(\'properties\', \'name\', \'items\'), \'additionalProperties\''],
    ['strict with an optional property', format({ ...person, required: ['name'] }, { strict: true }), 'invalid_value', `${at}.required`,
      '\'required\' is required to be supplied and to be an array including every key in properties. Missing \'age\'.'],
    ['strict with an unknown required property', format({ ...person, required: ['name', 'age', 'x'] }, { strict: true }), 'invalid_value', `${at}.required`, '"x"'],
    ['strict with another root', format({ type: 'array', items: person }, { strict: true }), 'invalid_value', at, 'schema must be a JSON Schema of \'type: "object"\', got \'type: "array"\'.'],
    ['two formats', { ...format(person), grammar: 'root ::= "a"' }, 'invalid_value', 'response_format', '\'grammar\' and \'response_format\''],
    ['two structured outputs', { structured_outputs: { regex: 'a', choice: ['b'] } }, 'invalid_value', 'structured_outputs.choice', 'send one of them'],
    ['no structured output', { structured_outputs: {} }, 'invalid_value', 'structured_outputs', 'expected one of'],
    ['an unknown structured output', { structured_outputs: { structural_tag: {} } }, 'unknown_parameter', 'structured_outputs.structural_tag', ''],
    ['a broken schema string', { structured_outputs: { json: '{' } }, 'invalid_value', 'structured_outputs.json', 'not JSON'],
    ['an invalid expression', { structured_outputs: { regex: '(a' } }, 'invalid_value', 'structured_outputs.regex', '"(" without ")"'],
    ['an unsupported expression', { structured_outputs: { regex: '(a)\\1' } }, 'unsupported_value', 'structured_outputs.regex', 'a back reference'],
    ['an expression that matches nothing', { structured_outputs: { regex: 'a^b' } }, 'invalid_value', 'structured_outputs.regex', 'no text matches'],
    ['an empty choice', { structured_outputs: { choice: [] } }, 'invalid_value', 'structured_outputs.choice', 'at least 1'],
    ['half a character', { structured_outputs: { choice: ['a', '\ud83d'] } }, 'invalid_value', 'structured_outputs.choice[1]', 'whole characters'],
    ['choices that are too much for a grammar', { structured_outputs: { choice: Array.from({ length: 2000 }, (_, index) => `${index}`.padStart(4, 'x').repeat(20)) } }, 'unsupported_value', 'structured_outputs.choice', 'too large']
  ])('with %s is refused by name', async (_name, member, code, param, message) => {
    const before = inference.requests.length
    const response = await post({ ...chat, ...member })
    expect(response.json()).toEqual({ error: { code, param, type: 'invalid_request_error', message: expect.stringContaining(message) } })
    expect(response.statusCode).toBe(400)
    expect(inference.requests).toHaveLength(before)
  })

  it.each([
    ['schema', `${'{"items":'.repeat(5000)}{}${'}'.repeat(5000)}`, 'deep'],
    ['schema of few levels', `${'{"items":'.repeat(200)}{}${'}'.repeat(200)}`, '128 levels deep'],
    ['value', `{"const":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'deep']
  ])('is refused when a %s goes too deep', async (_name, schema, message) => {
    const { type, json_schema: { name } } = format({}).response_format
    const payload = JSON.stringify({ ...chat, response_format: { type, json_schema: { name, schema: 'here' } } }).replace('"here"', schema)
    const response = await app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers: { 'content-type': 'application/json' } })
    expect(response.json()).toMatchObject({ error: { code: 'unsupported_value', param: expect.stringContaining('response_format'), message: expect.stringContaining(message) } })
    expect(response.statusCode).toBe(400)
  })

  it('is not logged', async () => {
    await post({ ...chat, ...format({ type: 'string', pattern: 'secret(?=word)' }) })
    expect(logText()).not.toContain('secret')
  })
})
