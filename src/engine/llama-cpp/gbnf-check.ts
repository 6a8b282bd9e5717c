import { ServerError } from '../../domain/errors.ts'
import { parseGbnf } from './gbnf-parser.ts'
import type { GbnfElement, GbnfGrammar, GbnfRule } from './gbnf-parser.ts'

/** Most ways in which a rule can begin; each is a stack that llama.cpp tries every token of the vocabulary against. */
const maxBeginnings = 5_000
/**
 * Most steps of llama.cpp's search for left recursion, which walks shared rules again for every use. It is recursive, on
 * the main thread's stack; this also keeps it within some 2,000 rules of depth.
 */
const maxSearchSteps = 2_000_000

/**
 * Refuses grammars that llama.cpp does not survive. It checks for itself, but its check has gaps: rules that only become
 * empty through others hide a left recursion (it then runs out of memory, or aborts on an empty stack), and rules that are
 * used again and again make the check itself take exponential time. What no check can foresee is a grammar that becomes
 * ever more ambiguous as the answer grows; the time that its draws take ends those (`GrammarDrawLimits`).
 *
 * @throws ServerError `invalid_grammar`, with line and column where the syntax is wrong
 */
export function checkGbnf (text: string): void {
  const grammar = parseGbnf(text)
  const nullable = nullableRules(grammar)
  checkBeginnings(grammar, nullable)
}

const refuse = (message: string): ServerError => new ServerError('invalid_grammar', message, { param: 'grammar' })

/** Names of the rules that can be empty. */
function nullableRules (grammar: GbnfGrammar): ReadonlySet<string> {
  const nullable = new Set<string>()
  const isNullable = (element: GbnfElement): boolean => element.type === 'rule' && nullable.has(element.name)
  // Rules that refer to a rule are looked at again when it turns out to be nullable.
  const users = new Map<string, GbnfRule[]>()
  for (const rule of grammar.rules.values()) {
    for (const element of rule.alternatives.flat()) {
      if (element.type !== 'rule') continue
      const known = users.get(element.name)
      if (known === undefined) users.set(element.name, [rule])
      else known.push(rule)
    }
  }
  const pending = [...grammar.rules.values()]
  for (let rule = pending.pop(); rule !== undefined; rule = pending.pop()) {
    if (nullable.has(rule.name) || !rule.alternatives.some((alternative) => alternative.every(isNullable))) continue
    nullable.add(rule.name)
    pending.push(...users.get(rule.name) ?? [])
  }
  return nullable
}

interface RuleSize { readonly beginnings: number, readonly searchSteps: number }

/** Finds left recursion, and sums up for every rule what expanding its beginning costs. Iterative: rules can be deep. */
function checkBeginnings (grammar: GbnfGrammar, nullable: ReadonlySet<string>): void {
  const sizes = new Map<string, RuleSize>()
  const open = new Set<string>()
  let searchSteps = 0
  for (const start of grammar.rules.keys()) {
    const stack = [start]
    for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
      if (sizes.has(name)) {
        stack.pop()
        continue
      }
      const rule = grammar.rules.get(name) as GbnfRule
      const first = firstReferences(rule, nullable)
      if (!open.has(name)) {
        open.add(name)
        const unknown = [...new Set(first)].filter((reference) => !sizes.has(reference))
        const recursive = unknown.find((reference) => open.has(reference))
        if (recursive !== undefined) {
          throw refuse(`The grammar's rule "${grammar.labelOf(recursive)}" begins with itself (left recursion), which is not supported`)
        }
        stack.push(...unknown)
        if (unknown.length > 0) continue
      }
      const parts = first.map((reference) => sizes.get(reference) as RuleSize)
      const size = {
        beginnings: parts.reduce((sum, part) => sum + part.beginnings, rule.alternatives.length),
        searchSteps: parts.reduce((sum, part) => sum + part.searchSteps, 1)
      }
      if (size.beginnings > maxBeginnings) {
        throw refuse(`The grammar's rule "${grammar.labelOf(name)}" can begin in ${size.beginnings} ways; the limit is ${maxBeginnings}`)
      }
      searchSteps += size.searchSteps
      if (searchSteps > maxSearchSteps) throw refuse('The grammar uses its rules within each other too often')
      sizes.set(name, size)
      open.delete(name)
      stack.pop()
    }
  }
}

/**
 * The rules that a rule can begin with, once for each way to begin with them. A rule that can be empty may repeat itself at
 * its very end (`list ::= item list |`, which is what `item*` stands for) even where what comes before can be empty too:
 * nothing is left to do after it, so llama.cpp finds the state it has been in and stops.
 */
function firstReferences (rule: GbnfRule, nullable: ReadonlySet<string>): string[] {
  const names: string[] = []
  for (const alternative of rule.alternatives) {
    for (const [index, element] of alternative.entries()) {
      if (element.type !== 'rule') break
      const isRepetition = index > 0 && index === alternative.length - 1 && element.name === rule.name
      if (isRepetition && nullable.has(rule.name)) break
      names.push(element.name)
      if (!nullable.has(element.name)) break
    }
  }
  return names
}
