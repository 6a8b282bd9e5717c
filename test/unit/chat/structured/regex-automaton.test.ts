import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { acceptsText } from '../../../../src/chat/structured/automaton.ts'
import { formatGrammar, GrammarRules } from '../../../../src/chat/structured/grammar-rules.ts'
import { automatonOfRegex } from '../../../../src/chat/structured/regex-automaton.ts'
import { textGrammar } from '../../../../src/chat/structured/text-grammar.ts'
import { WorkBudget } from '../../../../src/chat/structured/work-budget.ts'
import { checkGbnf } from '../../../../src/engine/llama-cpp/gbnf-check.ts'
import { GbnfMatcher } from '../../../support/gbnf-matcher.ts'

const automaton = (pattern: string, match: 'whole' | 'search') => automatonOfRegex(pattern, 'regex', new WorkBudget('regex'), match)

const piece = fc.constantFrom('a', 'b', '0', '.', '\\d', '\\w', '\\s', '\\W', '[ab]', '[^a]', '[a-c0-9]', '[^\\s-]', '[-x]', '\\n', '\\x61', '\\u{1f600}', '😀', '^', '$', '\\.', '\\-')
const { pattern } = fc.letrec<{ pattern: string, part: string }>((tie) => ({
  pattern: fc.oneof({ depthSize: 'small' }, tie('part'), fc.tuple(tie('part'), tie('pattern')).map(([one, other]) => `${one}|${other}`)),
  part: fc.array(fc.oneof({ depthSize: 'small' }, { weight: 4, arbitrary: piece }, {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom('(', '(?:', '(?<name>'), tie('pattern'), fc.constantFrom('', '*', '+', '?', '{2}', '{1,}', '{0,3}?', '*?')).map(([open, inner, sign]) => `${open}${inner})${sign}`)
  }), { maxLength: 4 }).map((parts) => parts.join(''))
}))
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '0', '-', 'x', '.', '\n', ' ', '😀', '_', '"', '\\', '\u0001'), maxLength: 6 })

/** Named groups may not come twice in ECMAScript. */
const plain = (source: string): string => source.replaceAll('(?<name>', '(').replaceAll('\\-', '-')

/** Random expressions may need more than the limits. */
function unlessTooLarge<Made> (make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    fc.pre(!String(error).includes('too large') && !String(error).includes('more than'))
    throw error
  }
}

describe('the automaton of a regular expression', () => {
  it('accepts what the expression matches, somewhere or as a whole', () => {
    fc.assert(fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 15 }), (source, texts) => {
      const [search, whole] = unlessTooLarge(() => [automaton(source, 'search'), automaton(source, 'whole')] as const)
      const expression = plain(source)
      for (const candidate of ['', ...texts]) {
        expect(acceptsText(search, candidate)).toBe(new RegExp(expression, 'u').test(candidate))
        expect(acceptsText(whole, candidate)).toBe(new RegExp(`^(?:${expression})$`, 'u').test(candidate))
      }
    }), { numRuns: 1000 })
  })

  it('becomes a grammar that reads each text in one way, plain or in JSON', () => {
    fc.assert(fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 15 }), (source, texts) => {
      const states = unlessTooLarge(() => automaton(source, 'search'))
      fc.pre(states.some(({ isEnd }) => isEnd))
      for (const form of ['plain', 'json'] as const) {
        const rules = new GrammarRules('r', 'regex')
        const root = unlessTooLarge(() => textGrammar(rules, states, form))
        const grammar = formatGrammar([['root', root], ...rules.rules])
        unlessTooLarge(() => checkGbnf(grammar))
        const matcher = new GbnfMatcher(grammar)
        for (const candidate of texts) {
          const written = form === 'plain' ? candidate : JSON.stringify(candidate).slice(1, -1)
          expect(matcher.accepts(written)).toBe(acceptsText(states, candidate))
        }
      }
    }), { numRuns: 300 })
  })

  it.each([
    ['^(?!a)(?=.*b).{2,3}$', ['xb', 'bb', 'xab'], ['ab', 'xx', 'b', 'xxxb']],
    ['^(?!.*--)[a-z-]+$', ['a-b', 'a'], ['a--b', '']],
    ['\\cJ|\\0|\\x41|\\u0042|\\ud83d\\ude00', ['\n', '\0', 'A', 'B', '😀'], ['J', '0', 'x41']],
    ['[\\b\\]^-]', ['\b', ']', '^', '-'], ['b', '\\']],
    ['(?P<year>\\d{4})(?<a>x)?', ['2024', '2024x'], ['24']],
    ['a]b}', ['a]b}'], ['ab']],
    ['(?:x*$^x*)', [''], ['x', 'xx']]
  ])('knows %s', (source, accepted, refused) => {
    const states = automaton(source, 'whole')
    expect(accepted.filter((candidate) => !acceptsText(states, candidate))).toEqual([])
    expect(refused.filter((candidate) => acceptsText(states, candidate))).toEqual([])
  })

  it.each([
    ['a**', 'a repetition of a repetition'], ['a++', 'a repetition of a repetition'], ['*', 'nothing to repeat'], ['(?i)a', 'a group "(?i"'], ['a{2', 'expected {n}'], ['a{3,2}', 'more repetitions at least'],
    ['[b-a]', 'out of order'], ['[\\d-z]', 'out of order'], ['[]', 'an empty character class'], ['[a', '"[" without "]"'], ['a)', '")" without "("'], ['\\', 'nothing behind'], ['\\A', 'the escape "\\A"'],
    ['\\k<a>', 'a back reference'], ['\\Bx', 'a word boundary'], ['\\u12', 'hexadecimal'], ['\\u{110000}', 'beyond'], ['\\01', 'octal'], ['\\ud800', 'surrogate'], ['^*', 'an anchor'],
    ['(?=a)b', 'a lookahead'], ['^(?=a)b|c', 'a lookahead beside a "|"'], ['('.repeat(100), 'nested more than 64']
  ])('refuses %s by name', (source, message) => {
    expect(() => automaton(source, 'whole')).toThrow(message)
  })
})
