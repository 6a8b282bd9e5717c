import { codePointsOf, complementOf } from '../structured/code-points.ts'
import { gbnfClass, gbnfLiteral, gbnfSequence } from '../structured/gbnf-text.ts'
import type { GrammarContext, ToolRule } from './dialect.ts'

/** A class of all characters but these. GBNF's own negation also takes bytes that are no text. */
export const otherThan = (characters: string): string => gbnfClass(complementOf(codePointsOf([...characters].sort().join(''))))

/** One of the tools, each written by `write`; a rule, because calls are written several times in a grammar. */
export const anyOf = (tools: readonly ToolRule[], { define }: GrammarContext, write: (tool: ToolRule) => string): string =>
  define('call', tools.map(write).join(' | '))

/** A call object of one of the tools. */
export const anyCallObject = (tools: readonly ToolRule[], context: GrammarContext, argumentKey = 'arguments'): string =>
  anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`{"name": "${name}", "${argumentKey}": `)} ${rule} "}"`)

/** A list of call objects between two texts, of which the second may be empty. */
export const callObjectList = (tools: readonly ToolRule[], context: GrammarContext, open: string, close: string): string =>
  gbnfSequence(gbnfLiteral(`${open}[`), oneOrMore(anyCallObject(tools, context), ', ', context), gbnfLiteral(`]${close}`))

/** One of a thing, or several with a separator between them. */
export const oneOrMore = (one: string, separator: string, { isParallel }: GrammarContext): string =>
  isParallel ? `${one} (${gbnfSequence(gbnfLiteral(separator), one)})*` : one
