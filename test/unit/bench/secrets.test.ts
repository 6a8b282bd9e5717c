import { describe, expect, it } from 'vitest'
import { asOneLine, secretsOf, withoutQueryValues, withoutSecrets } from '../../../src/bench/secrets.ts'

const secrets = secretsOf({
  servers: [
    { url: new URL('http://a/v1?token=que%20ry&v=1&bare'), label: 'a', apiKey: 'sk-long-key', model: null },
    { url: new URL('http://b/v1'), label: 'b', apiKey: null, model: null }
  ],
  tenants: [{ name: 't', apiKey: 'sk-long', weight: 1 }],
  headers: { authorization: 'Bearer header-key', 'x-mode': 'on' }
})

describe('secretsOf', () => {
  it('are keys, and values of headers and queries, the longest first', () => {
    expect(secrets).toHaveLength(7)
    expect(secrets.slice(0, 3)).toEqual(['Bearer header-key', 'sk-long-key', 'header-key'])
    expect(secrets.slice(3).sort()).toEqual(['bare', 'que ry', 'que%20ry', 'sk-long'].sort())
  })
})

describe('withoutSecrets', () => {
  it.each([
    ['Wrong key sk-long-key, not sk-long.', 'Wrong key …, not ….'],
    ['Bearer header-key and header-key', '… and …'],
    ['mode on: que ry at /v1?token=que%20ry', 'mode on: … at /v1?token=…'],
    // A message that was cut short in the middle of a key.
    ['Incorrect: sk-long-k…', 'Incorrect: …'],
    ['Incorrect: header…', 'Incorrect: …'],
    ['sk-…', 'sk-…']
  ])('cleans "%s"', (text, clean) => {
    expect(withoutSecrets(text, secrets)).toBe(clean)
  })
})

describe('withoutQueryValues', () => {
  it('leaves names of queries, and what is no URL', () => {
    expect(withoutQueryValues('http://a/v1?key=sk-1&b=2#x and https://b/?tok')).toBe('http://a/v1?key=…&b=…#x and https://b/?…')
    expect(withoutQueryValues('What?key=1 {"a": "b?c=d"} http://a/v1')).toBe('What?key=1 {"a": "b?c=d"} http://a/v1')
  })
})

describe('asOneLine', () => {
  it('lets no server write a line of its own', () => {
    expect(asOneLine('a\r\n  Warning: b\u009b31m\u001b[2J')).toBe('a Warning: b\ufffd31m\ufffd[2J')
  })
})
