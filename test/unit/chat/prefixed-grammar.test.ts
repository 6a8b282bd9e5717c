import { describe, expect, it } from 'vitest'
import { prefixedGrammar } from '../../../src/chat/prefixed-grammar.ts'
import { checkGbnf } from '../../../src/engine/llama-cpp/gbnf-check.ts'

describe('a grammar with a prefix', () => {
  it('has it before the names of all rules, and nowhere else', () => {
    const grammar = [
      '# root of it "all',
      'root ::= a-1 "root \\" a-1" [^\\]a-1"] (a-1 | 2b{1,3})* # a-1 too',
      'a-1 ::= "\\\\" [a-z]+ |',
      '  .?',
      '2b ::= "x"'
    ].join('\n')
    checkGbnf(grammar)
    const prefixed = prefixedGrammar(grammar, 'p-')
    expect(prefixed).toBe([
      '# root of it "all',
      'p-root ::= p-a-1 "root \\" a-1" [^\\]a-1"] (p-a-1 | p-2b{1,3})* # a-1 too',
      'p-a-1 ::= "\\\\" [a-z]+ |',
      '  .?',
      'p-2b ::= "x"'
    ].join('\n'))
    expect(() => checkGbnf(`root ::= p-root\n${prefixed}`)).not.toThrow()
  })
})
