import { zodResponseFormat } from 'openai/helpers/zod'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { OutputGrammars } from '../../../../src/chat/structured/output-grammars.ts'
import { GbnfMatcher } from '../../../support/gbnf-matcher.ts'

const Tree = z.object({ value: z.string(), get children () { return z.array(Tree) } })

describe('what zod and OpenAI\'s client make of a type', () => {
  it.each<[string, z.ZodType, unknown, unknown]>([
    ['an e-mail address', z.email(), 'a.b@example.org', 'a..b@example.org'],
    ['a UUID', z.uuid(), '123e4567-e89b-12d3-a456-426614174000', '123e4567-e89b-92d3-e456-426614174000'],
    ['a date', z.iso.date(), '2024-02-29', '2023-02-29'],
    ['a time', z.iso.datetime(), '2024-02-29T10:00:00Z', '2024-02-29'],
    ['an IPv4 address', z.ipv4(), '10.0.0.1', '10.0.0.256'],
    ['an IPv6 address', z.ipv6(), '2001:db8::1', '::g'],
    ['a URL', z.url(), 'https://example.org/x', 'example'],
    ['a beginning', z.string().startsWith('ab'), 'abc', 'xab'],
    ['a part with a length', z.string().includes('ab').max(4), 'xabx', 'xabxx'],
    ['an integer', z.int(), -5, 1.5],
    ['a positive number', z.number().positive(), 0.5, 0],
    ['steps', z.number().multipleOf(5), 15, 16],
    ['literals', z.literal(['a', 1, null]), null, 'b'],
    ['something or nothing', z.string().nullable(), null, 1],
    ['an object of a kind', z.discriminatedUnion('kind', [z.object({ kind: z.literal('a'), x: z.int() }), z.object({ kind: z.literal('b') })]), { kind: 'a', x: 1 }, { kind: 'a', x: 'y' }],
    ['an object within itself', Tree, { value: 'a', children: [{ value: 'b', children: [] }] }, { value: 'a', children: [{ value: 1, children: [] }] }]
  ])('is kept: %s', (_name, type, right, wrong) => {
    const format = zodResponseFormat(z.object({ x: type }), 'x')
    const { schema, name } = format.json_schema
    const matcher = new GbnfMatcher(new OutputGrammars().of({ kind: 'json-schema', param: 'x', schema, strictName: name })!)
    expect(type.safeParse(right).success).toBe(true)
    expect(matcher.accepts(JSON.stringify({ x: right }))).toBe(true)
    expect(type.safeParse(wrong).success).toBe(false)
    expect(matcher.accepts(JSON.stringify({ x: wrong }))).toBe(false)
  })
})
