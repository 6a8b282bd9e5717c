import { describe, expect, it } from 'vitest'
import { embeddedGrammar, embeddedRoot } from '../../../src/chat/embedded-grammar.ts'
import { checkGbnf } from '../../../src/engine/llama-cpp/gbnf-check.ts'

describe('a grammar within another one', () => {
  it('has other names where the other one has the same, and nowhere else', () => {
    const grammar = [
      '# root of it "all',
      'root ::= a-1 "root \\" a-1" [^\\]a-1"] (a-1 | 2b{1,3})* # a-1 too',
      'a-1 ::= "\\\\" [a-z]+ | format-a-1 |',
      '  .?',
      '2b ::= "x"',
      'format-a-1 ::= "y"'
    ].join('\n')
    checkGbnf(grammar)
    const embedded = embeddedGrammar(grammar, new Set(['a-1', 'b']))
    expect(embedded).toBe([
      '# root of it "all',
      'format-root ::= format-a-1 "root \\" a-1" [^\\]a-1"] (format-a-1 | 2b{1,3})* # a-1 too',
      'format-a-1 ::= "\\\\" [a-z]+ | format-format-a-1 |',
      '  .?',
      '2b ::= "x"',
      'format-format-a-1 ::= "y"'
    ].join('\n'))
    expect(() => checkGbnf(`root ::= ${embeddedRoot} a-1\na-1 ::= "z"\n${embedded}`)).not.toThrow()
  })
})
