import { ServerError } from '../domain/errors.ts'
import { checkGbnf } from '../engine/llama-cpp/gbnf-check.ts'
import type { ToolDefinition } from './chat-message.ts'
import type { Dialect, GrammarContext } from './dialects/dialect.ts'
import { literal } from './dialects/gbnf.ts'
import type { ReasoningTags } from './dialects/reasoning.ts'
import { textUntil } from './dialects/text-until.ts'
import { embeddedGrammar, embeddedRoot } from './embedded-grammar.ts'
import { type JsonSchemaGrammar, jsonSchemaGrammar } from './structured/json-schema-grammar.ts'

/** A grammar for answers, as sampling takes it. */
export interface ToolGrammar {
  readonly grammar: string
  readonly grammarTrigger: string | null
}

export interface ToolGrammarOptions extends Omit<GrammarContext, 'define'> {
  readonly dialect: Dialect
  /** In the order of the request. */
  readonly tools: readonly ToolDefinition[]
  /** The tools that may be called: all of them, or those that the request's choice names. */
  readonly callable: ReadonlySet<string>
  /** Tags of reasoning that the answer may begin with, and whether the prompt has opened them. */
  readonly reasoning: { readonly tags: ReasoningTags, readonly isOpen: boolean } | null
}

/** So many more take long at every token; what is not strict then is not held. */
const maxSchemaCharacters = 48_000
/** What the engine takes. */
const maxGrammarCharacters = 262_144
const noArguments = { type: 'object', properties: {}, additionalProperties: false }

/**
 * A grammar for answers that are calls, with reasoning before them where the model reasons.
 * @throws ServerError `unsupported_value` or `invalid_value` for the schemas of strict tools
 */
export function requiredCallGrammar (options: ToolGrammarOptions): ToolGrammar {
  return writeGrammar(options, (tools, context) => {
    return { root: afterReasoning(options.dialect.calls(tools, context), options, context), trigger: null }
  })
}

/**
 * A grammar for answers that follow a format or, where there are tools, are calls; with reasoning before that where the model reasons.
 * @param format GBNF of the answer
 * @throws ServerError `unsupported_value` or `invalid_value` for the schemas of strict tools, `invalid_grammar` for the format
 */
export function formattedAnswerGrammar (format: string, options: ToolGrammarOptions): ToolGrammar {
  checkGbnf(format)
  return writeGrammar(options, (tools, context) => {
    const content = options.dialect.content?.(embeddedRoot, context) ?? embeddedRoot
    const answer = tools.length === 0 ? content : `(${options.dialect.calls(tools, context)} | ${content})`
    return { root: afterReasoning(answer, options, context), trigger: null, embedded: format }
  })
}

/** An answer behind what the model thinks first, where it does and the format does not say so itself. */
function afterReasoning (answer: string, { reasoning, dialect }: ToolGrammarOptions, { define }: GrammarContext): string {
  if (reasoning === null || dialect.framesAnswers === true) return answer
  const { tags, isOpen } = reasoning
  const thinking = [textUntil(tags.close, 'thinking', define), '("\\n" "\\n"?)?'].join(' ')
  return `${isOpen ? thinking : `(${literal(tags.open)} ${thinking})?`} ${answer}`
}

/**
 * A grammar for the calls of answers that may have none; null where there is no need for one, or no way.
 * @throws ServerError `unsupported_value` when a strict tool cannot be enforced, or `invalid_value` for its schema
 */
export function optionalCallGrammar (options: ToolGrammarOptions): ToolGrammar | null {
  const { dialect, tools, callable } = options
  const strict = tools.findIndex(({ isStrict, name }) => isStrict && callable.has(name))
  const form = dialect.optionalCalls([], { ...options, define: (name) => name })
  if (form === null && strict !== -1) {
    throw new ServerError('unsupported_value',
      `"strict" cannot be held in the calls of this model's format ("${dialect.name}") unless "tool_choice" demands a call`, { param: `tools[${strict}].function.strict` })
  }
  // A grammar over the whole answer takes time for every token; only strict tools are worth it.
  if (form === null || (form.trigger === null && strict === -1)) return null
  return writeGrammar(options, (rules, context) => {
    const { calls = '', trigger = null } = dialect.optionalCalls(rules, context) ?? {}
    return { root: calls, trigger }
  })
}

interface Written {
  readonly root: string
  readonly trigger: string | null
  /** A grammar whose root the others refer to. */
  readonly embedded?: string
}

type Write = (tools: readonly { readonly name: string, readonly rule: string }[], context: GrammarContext) => Written

/**
 * Tools that are not strict may take any object where their schema asks for more than grammars can hold, or where all of
 * them together are too large: first the largest, and all of them where the engine would still refuse the grammar.
 */
function writeGrammar (options: ToolGrammarOptions, write: Write): ToolGrammar {
  const any = jsonSchemaGrammar({ type: 'object' }, { prefix: 'any', param: 'tools' })
  const written = options.tools.flatMap((tool, index) => options.callable.has(tool.name) ? [{ tool, schema: compile(tool, index) ?? any }] : [])
  const schemas = (): JsonSchemaGrammar[] => [...new Set(written.map(({ schema }) => schema))]
  const total = (): number => schemas().reduce((sum, schema) => sum + lengthOf(schema), 0)
  for (const entry of [...written].sort((a, b) => lengthOf(b.schema) - lengthOf(a.schema))) {
    if (total() <= maxSchemaCharacters) break
    if (!entry.tool.isStrict) entry.schema = any
  }
  if (total() > maxSchemaCharacters) {
    throw new ServerError('unsupported_value', `The schemas of the strict tools take ${total()} characters as a grammar; the limit is ${maxSchemaCharacters}`, { param: 'tools' })
  }
  const put = (): ToolGrammar => {
    const rules = new Map(schemas().flatMap((schema) => [...schema.rules]))
    const define = (name: string, body: string): string => {
      rules.set(name, body)
      return name
    }
    const { root, trigger, embedded } = write(written.map(({ tool, schema }) => ({ name: tool.name, rule: schema.rootRule })), { ...options, define })
    const grammar = [`root ::= ${root}`, ...[...rules].map(([name, body]) => `${name} ::= ${body}`), ...(embedded === undefined ? [] : [embeddedGrammar(embedded, rules)])].join('\n')
    if (grammar.length > maxGrammarCharacters) throw new ServerError('unsupported_value', `It would have ${grammar.length} characters; the limit is ${maxGrammarCharacters}`)
    checkGbnf(grammar)
    return { grammar, grammarTrigger: trigger }
  }
  try {
    return put()
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    for (const entry of written) if (!entry.tool.isStrict) entry.schema = any
  }
  try {
    return put()
  } catch (error) {
    throw new ServerError('unsupported_value', `The format of the answer and the schemas of the strict tools are too much for a grammar. ${error instanceof Error ? error.message : ''}`, { param: 'tools', cause: error })
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
