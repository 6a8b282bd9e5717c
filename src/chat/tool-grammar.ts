import { ServerError } from '../domain/errors.ts'
import type { ToolDefinition } from './chat-message.ts'
import type { Dialect, GrammarContext, OptionalCalls, ToolRule } from './dialects/dialect.ts'
import { literal } from './dialects/gbnf.ts'
import type { ReasoningTags } from './dialects/reasoning.ts'
import { textUntil } from './dialects/text-until.ts'
import { type JsonSchemaGrammar, jsonSchemaGrammar } from './structured/json-schema-grammar.ts'

/** A grammar for calls, as sampling takes it. */
export interface ToolGrammar {
  readonly grammar: string
  readonly grammarTrigger: string | null
}

export interface ToolGrammarOptions extends GrammarContext {
  readonly dialect: Dialect
  /** In the order of the request. */
  readonly tools: readonly ToolDefinition[]
  /** The tools that may be called: all of them, or those that the request's choice names. */
  readonly callable: ReadonlySet<string>
  /** Tags of reasoning that the answer may begin with, and whether the prompt has opened them. */
  readonly reasoning: { readonly tags: ReasoningTags, readonly isOpen: boolean } | null
}

/** Of the 64 KiB that a grammar may have; the rest is for the format around the arguments. */
const maxRuleCharacters = 60_000
const noArguments = { type: 'object', properties: {}, additionalProperties: false }

/** A grammar for answers that are calls, with reasoning before them where the model reasons. */
export function requiredCallGrammar (options: ToolGrammarOptions): ToolGrammar {
  const { tools, rules } = writeRules(options)
  const { dialect, reasoning } = options
  const calls = dialect.calls(tools, options)
  if (reasoning === null || dialect.framesAnswers === true) return { grammar: `root ::= ${calls}\n${rules}`, grammarTrigger: null }
  const { tags, isOpen } = reasoning
  const thinking = isOpen ? 'thinking-0 blank ' : `(${literal(tags.open)} thinking-0 blank)? `
  return {
    grammar: `root ::= ${thinking}${calls}\n${rules}\nblank ::= ("\\n" "\\n"?)?\n${textUntil(tags.close, 'thinking')}`,
    grammarTrigger: null
  }
}

/**
 * A grammar for the calls of answers that may have none; null where there is no need for one, or no way.
 * @throws ServerError `unsupported_value` when a strict tool cannot be enforced
 */
export function optionalCallGrammar (options: ToolGrammarOptions): ToolGrammar | null {
  const strict = options.tools.findIndex(({ isStrict, name }) => isStrict && options.callable.has(name))
  const { tools, rules } = writeRules(options)
  const optional: OptionalCalls | null = options.dialect.optionalCalls(tools, options)
  if (optional === null) {
    if (strict === -1) return null
    throw new ServerError('unsupported_value',
      `"strict" cannot be held in the calls of this model's format ("${options.dialect.name}") unless "tool_choice" demands a call`, { param: `tools[${strict}].function.strict` })
  }
  // A grammar over the whole answer takes time for every token; only strict tools are worth it.
  if (optional.trigger === null && strict === -1) return null
  return { grammar: `root ::= ${optional.calls}\n${rules}`, grammarTrigger: optional.trigger }
}

/**
 * The rules for the tools' arguments. Tools that are not strict may take any object where their schema asks for more than
 * grammars can hold, or where all of them together are too large.
 * @throws ServerError what {@link jsonSchemaGrammar} throws for strict tools
 */
function writeRules ({ tools, callable }: ToolGrammarOptions): { readonly tools: readonly ToolRule[], readonly rules: string } {
  const any = jsonSchemaGrammar({ type: 'object' }, { prefix: 'any', param: 'tools' })
  const written = tools.flatMap((tool, index) => callable.has(tool.name) ? [{ tool, grammar: compile(tool, index) ?? any }] : [])
  const total = (): number => [...new Set(written.map(({ grammar }) => grammar))].reduce((sum, grammar) => sum + lengthOf(grammar), 0)
  for (const entry of [...written].sort((a, b) => lengthOf(b.grammar) - lengthOf(a.grammar))) {
    if (total() <= maxRuleCharacters) break
    if (!entry.tool.isStrict) entry.grammar = any
  }
  if (total() > maxRuleCharacters) {
    throw new ServerError('unsupported_value', `The schemas of the strict tools take ${total()} characters as a grammar; the limit is ${maxRuleCharacters}`, { param: 'tools' })
  }
  const grammars = new Set(written.map(({ grammar }) => grammar))
  return {
    tools: written.map(({ tool, grammar }) => ({ name: tool.name, rule: grammar.rootRule })),
    rules: [...grammars].flatMap(({ rules }) => [...rules].map(([name, body]) => `${name} ::= ${body}`)).join('\n')
  }
}

const lengthOf = ({ rules }: JsonSchemaGrammar): number =>
  [...rules].reduce((sum, [name, body]) => sum + name.length + body.length + 6, 0)

/** Null for a tool that is not strict and whose schema grammars cannot hold. */
function compile ({ parameters, isStrict }: ToolDefinition, index: number): JsonSchemaGrammar | null {
  try {
    return jsonSchemaGrammar(parameters ?? noArguments, { prefix: `tool${index}`, param: `tools[${index}].function.parameters` })
  } catch (error) {
    if (isStrict || !(error instanceof ServerError)) throw error
    return null
  }
}
