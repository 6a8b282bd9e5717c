/** Bytes of a connection, and what may come of them. */
export interface RawAttempt {
  readonly name: string
  /** `HOST` stands for the name of the server. */
  readonly bytes: string
  readonly statuses: readonly number[]
}

/** The body of a request that asks a model. */
export interface BodyAttempt {
  readonly name: string
  readonly path: '/v1/completions' | '/v1/chat/completions'
  readonly body: string
  readonly statuses: readonly number[]
}

/** Paths that lead out of a folder, if one were served. */
export const hostilePaths: readonly string[] = [
  '/../../../../etc/passwd', '/v1/../../etc/passwd', '/v1/models/../../../etc/passwd', '/v1/models/..%2f..%2f..%2fetc%2fpasswd',
  '/%2e%2e/%2e%2e/etc/passwd', '/v1/models/%00', '/v1/models/%c0%ae%c0%ae', '//etc/passwd', '/v1/responses/..%5c..%5csecret', '/v1/models/%'
]

/** Names that would begin a header of their own, if they were put into one. */
export const injectingNames: readonly string[] = ['x\r\nset-cookie: a=b', 'x\nset-cookie: a=b', 'x\u2028\u0000']

const smuggled = 'GET /metrics HTTP/1.1\r\nhost: HOST\r\n\r\n'
const head = 'POST /v1/completions HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\n'

/** What a proxy and a server behind it may read differently: a second request inside the first. */
export const smugglingAttempts: readonly RawAttempt[] = [
  ['both lengths', `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['both lengths, the other way around', `${head}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${smuggled}`],
  ['two lengths', `${head}content-length: 2\r\ncontent-length: 40\r\n\r\n{}${smuggled}`],
  ['a list of lengths', `${head}content-length: 2, 40\r\n\r\n{}${smuggled}`],
  ['a signed length', `${head}content-length: +2\r\n\r\n{}${smuggled}`],
  ['a negative length', `${head}content-length: -1\r\n\r\n{}${smuggled}`],
  ['an endless length', `${head}content-length: 99999999999999999999\r\n\r\n{}${smuggled}`],
  ['an unknown coding', `${head}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['two codings', `${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`],
  ['a space before the colon', `${head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  ['a folded header', `${head}content-length: 2\r\nx: a\r\n transfer-encoding: chunked\r\n\r\n{}${smuggled}`],
  ['a chunk of no number', `${head}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n${smuggled}`],
  ['a chunk that is too large', `${head}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n${smuggled}`],
  ['lines that end too early', `${head.replaceAll('\r\n', '\n')}content-length: 2\n\n{}${smuggled}`],
  ['a carriage return alone', `${head}x: a\rtransfer-encoding: chunked\r\n\r\n${smuggled}`],
  ['another protocol', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggled}`],
  ['no host', 'GET /health HTTP/1.1\r\n\r\n']
].map(([name = '', bytes = '']) => ({ name, bytes, statuses: [400] }))

/** Heads that are larger than any client's, and bodies that are announced so. */
export const oversizedAttempts: readonly RawAttempt[] = [
  { name: 'a header of 1 MB', bytes: `GET /health HTTP/1.1\r\nhost: HOST\r\nx: ${'a'.repeat(1_000_000)}\r\n\r\n`, statuses: [400, 431] },
  { name: '50,000 headers', bytes: `GET /health HTTP/1.1\r\nhost: HOST\r\n${Array.from({ length: 50_000 }, (_, index) => `h${index}: 1`).join('\r\n')}\r\n\r\n`, statuses: [400, 431] },
  { name: 'a path of 1 MB', bytes: `GET /${'a'.repeat(1_000_000)} HTTP/1.1\r\nhost: HOST\r\n\r\n`, statuses: [400, 414, 431] },
  { name: 'a body of 1 PB, announced', bytes: `${head}KEY\r\ncontent-length: 1000000000000000\r\n\r\n{`, statuses: [413] }
]

const numbered = <Value> (count: number, make: (index: number) => Value): Value[] => Array.from({ length: count }, (_, index) => make(index))

/** JSON that is costly to read or to check. */
export function hostileBodies (model: string): readonly BodyAttempt[] {
  const completion = (members: object): string => JSON.stringify({ model, prompt: 'x', max_tokens: 1, ...members })
  const attempts: readonly (readonly [name: string, body: string, statuses?: readonly number[]])[] = [
    ['deep arrays', '['.repeat(1_000_000)],
    ['deep arrays that end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['deep objects', `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`],
    ['many members', `{${numbered(300_000, (index) => `"k${index}":1`).join(',')}}`],
    ['members with the same hash', `{${numbered(100_000, (index) => `"${index * 65_536}":1`).join(',')}}`],
    ['a number without an end', `{"model":${JSON.stringify(model)},"prompt":"x","max_tokens":1${'0'.repeat(1_000_000)}}`],
    ['a number that is infinite', `{"model":${JSON.stringify(model)},"prompt":"x","temperature":1e999}`],
    ['a prototype', `{"__proto__":{"isAdmin":true},"model":${JSON.stringify(model)},"prompt":"x"}`],
    ['a constructor', `{"constructor":{"prototype":{"isAdmin":true}},"model":${JSON.stringify(model)},"prompt":"x"}`],
    ['half a character', `{"model":${JSON.stringify(model)},"prompt":"\\ud800","max_tokens":1}`, [200, 400]],
    ['many prompts', completion({ prompt: numbered(100_000, () => 'x') })],
    ['many choices', completion({ n: 1_000_000 })],
    ['a bias for everything', completion({ logit_bias: Object.fromEntries(numbered(200_000, (index) => [index, 1])) })]
  ]
  return [
    ...attempts.map(([name, body, statuses = [400]]): BodyAttempt => ({ name, path: '/v1/completions', body, statuses })),
    { name: 'many messages', path: '/v1/chat/completions', body: JSON.stringify({ model, messages: numbered(100_000, () => ({ role: 'user', content: 'x' })) }), statuses: [400] }
  ]
}

const nested = (depth: number): object => depth === 0 ? { type: 'string' } : { type: 'object', properties: { a: nested(depth - 1), b: nested(depth - 1) }, required: ['a', 'b'] }
const schema = (of: object): object => ({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: of } } })

/** Formats of answers that are costly to compile or to keep to: answered, or refused by a limit. */
export function hostileGrammars (model: string): readonly BodyAttempt[] {
  const attempts: readonly (readonly [name: string, members: object])[] = [
    ['a regex whose repetitions multiply', { structured_outputs: { regex: '((a{1000}){1000}){1000}' } }],
    ['a regex that backtracks', { structured_outputs: { regex: '^(a+)+$' } }],
    ['a regex of many choices', { structured_outputs: { regex: `(${numbered(20_000, (index) => `a${index}`).join('|')})*` } }],
    ['a regex that is deep', { structured_outputs: { regex: `${'('.repeat(50_000)}a${')'.repeat(50_000)}` } }],
    ['a pattern in a schema', schema({ type: 'string', pattern: '^((a|b){0,9999}){0,9999}$' })],
    ['a schema that doubles with its depth', schema(nested(12))],
    ['a schema that refers to itself', schema({ $ref: '#' })],
    ['counts of items', schema({ type: 'array', minItems: 1_000_000, items: { type: 'array', minItems: 1_000_000 } })],
    ['choices', { structured_outputs: { choice: numbered(100_000, (index) => `choice ${index}`) } }],
    ['a grammar that goes left for ever', { structured_outputs: { grammar: 'root ::= root "a" | "b"' } }]
  ]
  return attempts.map(([name, members]) => ({
    name, path: '/v1/chat/completions', body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4, ...members }), statuses: [200, 400]
  }))
}
