import { describe, expect, it } from 'vitest'
import { checkGbnf } from '../../../src/engine/llama-cpp/gbnf-check.ts'

const messageOf = (grammar: string): string => {
  try {
    checkGbnf(grammar)
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_grammar', param: 'grammar' })
    return (error as Error).message
  }
  return 'accepted'
}

describe('GBNF check', () => {
  it.each([
    'root ::= "a"',
    'root ::= "a" | "b" |\n  "c"',
    'root ::= ""',
    'root ::= [^"\\\\\\x7F\\u0000-\\u001f] | [a-z-] | [\\]-]',
    'root ::= (\n  "a"\n  | b # why\n)*\nb ::= "\\"" .? "\\U0001F30A"',
    'root ::= "a"{2} "b"{2,} "c"{0,3} "d"{ 1 , 2 }\r\n',
    'root ::= "(" root ")" | "x" root?',
    'root ::= item+\nitem ::= "- " [^\\n]+ "\\n"',
    'root ::= value\nvalue ::= object | array | "1"\nobject ::= "{" value? "}"\narray ::= "[" (value ("," value)*)? "]"',
    'root ::= ("a"?)* ([ \\t]*)+'
  ])('accepts %j', (grammar) => { expect(messageOf(grammar)).toBe('accepted') })

  it.each([
    ['', 'no rule "root"'],
    ['a ::= "b"', 'no rule "root"'],
    ['root = "a"', 'line 1, column 6: expected "::="'],
    ['root ::= "a"\n\nroot2 ::= missing', 'line 3, column 11: the rule "missing" is not defined'],
    ['root ::= "a', 'unexpected end'],
    ['root ::= [a', 'unexpected end'],
    ['root ::= []', 'the character class is empty'],
    ['root ::= ("a"', 'expected ")"'],
    ['root ::= "a")', 'line 1, column 13: expected the end of the line'],
    ['root ::= *', 'a repetition needs something before it'],
    ['root ::= "a"{}', 'expected {n}'],
    ['root ::= "a"{3,1}', 'at least 3 and at most 1'],
    ['root ::= "a"{5000}', 'the limit is 2000'],
    ['root ::= "\\q"', 'unknown escape'],
    ['root ::= <think>', 'references to tokens'],
    ['root ::= "a\0"', 'U+0000'],
    ['root ::= root "a" | "b"', '"root" begins with itself'],
    ['root ::= a\na ::= b\nb ::= a "x"', 'begins with itself'],
    ['root ::= a root\na ::= b\nb ::= ""', 'begins with itself']
  ])('refuses %j', (grammar, reason) => { expect(messageOf(grammar)).toContain(reason) })

  it('refuses what grows beyond measure', () => {
    const chain = (length: number, link: (next: string) => string): string =>
      [...Array.from({ length }, (_, i) => `r${i} ::= ${link(`r${i + 1}`)}`), `r${length} ::= "c"`, 'root ::= r0'].join('\n')
    expect(messageOf(`root ::= ${'('.repeat(100)}"a"${')'.repeat(100)}`)).toContain('nested more than 64')
    expect(messageOf(`root ::= "${'a'.repeat(1000)}"{2000}`)).toContain('more than 50000 elements')
    expect(messageOf(chain(40, (next) => `${next} "a" | ${next} "b"`))).toContain('ways; the limit is 5000')
    expect(messageOf(chain(3000, (next) => next))).toContain('within each other too often')
    expect(messageOf(chain(500, (next) => next))).toBe('accepted')
  })
})
