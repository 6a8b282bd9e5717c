import { ServerError } from '../domain/errors.ts'
import { checkGbnf } from '../engine/llama-cpp/gbnf-check.ts'
import type { ToolDefinition } from './chat-message.ts'
import type { Dialect, GrammarContext } from './dialects/dialect.ts'
import type { ReasoningTags } from './dialects/reasoning.ts'
import { textUntil } from './dialects/text-until.ts'
import { embeddedGrammar, embeddedRoot } from './embedded-grammar.ts'
import { gbnfLiteral } from './structured/gbnf-text.ts'
import { formatGrammar } from './structured/grammar-rules.ts'
import { type JsonSchemaGrammar, type JsonSchemaGrammarOptions, jsonSchemaGrammar } from './structured/json-schema-grammar.ts'
import { type ParameterForm, parameterGrammar } from './structured/parameter-grammar.ts'
import { WorkBudget } from './structured/work-budget.ts'

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

export interface FormattedAnswerOptions extends ToolGrammarOptions {
  /** Whether the answer begins within content that the prompt has begun. */
  readonly continuesContent: boolean
}

/**
 * Of the 262,144 that a grammar may have ({@link Sampling.grammar}); the rest is for the format around the arguments, of 128
 * tools with the longest names.
 */
export const maxSchemaCharacters = 190_000
/** What the engine takes. */
const maxGrammarCharacters = 262_144
/** The engine also limits what a grammar comes to with its repetitions written out; it is tried with fewer characters, down to these. */
const leastSchemaCharacters = 20_000
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
export function formattedAnswerGrammar (format: string, options: FormattedAnswerOptions): ToolGrammar {
  checkGbnf(format)
  return writeGrammar(options, (tools, context) => {
    const content = options.continuesContent ? embeddedRoot : options.dialect.content?.(embeddedRoot, context) ?? embeddedRoot
    const answer = tools.length === 0 ? content : `(${options.dialect.calls(tools, context)} | ${content})`
    return { root: afterReasoning(answer, options, context), trigger: null, embedded: format }
  })
}

/** An answer behind what the model thinks first, where it does and the format does not say so itself. */
function afterReasoning (answer: string, { reasoning, dialect }: ToolGrammarOptions, { define }: GrammarContext): string {
  if (reasoning === null || dialect.readsReasoning === true) return answer
  const { tags, isOpen } = reasoning
  const thinking = [textUntil(tags.close, 'thinking', define), '("\\n" "\\n"?)?'].join(' ')
  return `${isOpen ? thinking : `(${gbnfLiteral(tags.open)} ${thinking})?`} ${answer}`
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
 * them together are too large, the largest first, or take too long to write, the last first.
 */
function writeGrammar (options: ToolGrammarOptions, write: Write): ToolGrammar {
  const form = options.dialect.parameterForm?.(options.template) ?? null
  const any = argumentGrammar({ type: 'object' }, form, { prefix: 'any', param: 'tools' })
  const budget = new WorkBudget('tools')
  // Where the budget does not last for all, those that are not strict can do without their schema.
  const inTurn = [...options.tools.entries()].filter(([, { name }]) => options.callable.has(name)).sort(([, a], [, b]) => Number(b.isStrict) - Number(a.isStrict))
  const schemas = new Map(inTurn.map(([index, tool]) => [index, compile(tool, index, form, budget) ?? any]))
  const compiled = options.tools.flatMap((tool, index): readonly CompiledTool[] => {
    const schema = schemas.get(index)
    return schema === undefined ? [] : [{ tool, schema }]
  })
  for (let most = maxSchemaCharacters; ; most = most > leastSchemaCharacters ? most / 2 : 0) {
    const { tools, characters } = fitted(compiled, any, most)
    try {
      if (characters <= maxSchemaCharacters) return put(options, write, tools)
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      if (most === 0) throw tooLarge(error)
    }
    if (most === 0) throw tooLarge()
  }
}

const tooLarge = (cause?: ServerError): ServerError =>
  new ServerError('unsupported_value', `The format of the answer and the schemas of the strict tools are too much for a grammar. ${cause?.message ?? ''}`.trim(), { param: 'tools', cause })

interface CompiledTool {
  readonly tool: ToolDefinition
  readonly schema: JsonSchemaGrammar
}

/** Gives up the largest schemas that need not be kept, until the others have no more characters than this. */
function fitted (compiled: readonly CompiledTool[], any: JsonSchemaGrammar, mostCharacters: number): { readonly tools: readonly CompiledTool[], readonly characters: number } {
  const givenUp = new Set<CompiledTool>()
  let characters = compiled.reduce((sum, { schema }) => schema === any ? sum : sum + lengthOf(schema), lengthOf(any))
  for (const entry of [...compiled].sort((a, b) => lengthOf(b.schema) - lengthOf(a.schema))) {
    if (characters <= mostCharacters) break
    if (entry.tool.isStrict || entry.schema === any) continue
    characters -= lengthOf(entry.schema)
    givenUp.add(entry)
  }
  return { tools: compiled.map((entry) => givenUp.has(entry) ? { ...entry, schema: any } : entry), characters }
}

/** @throws ServerError when the engine would refuse it */
function put (options: ToolGrammarOptions, write: Write, tools: readonly CompiledTool[]): ToolGrammar {
  const rules = new Map(tools.flatMap(({ schema }) => [...schema.rules]))
  const define = (name: string, body: string): string => {
    rules.set(name, body)
    return name
  }
  const { root, trigger, embedded } = write(tools.map(({ tool, schema }) => ({ name: tool.name, rule: schema.rootRule })), { ...options, define })
  const grammar = formatGrammar([['root', root], ...rules]) + (embedded === undefined ? '' : embeddedGrammar(embedded, rules))
  if (grammar.length > maxGrammarCharacters) throw new ServerError('unsupported_value', `It would have ${grammar.length} characters; the limit is ${maxGrammarCharacters}`)
  checkGbnf(grammar)
  return { grammar, grammarTrigger: trigger }
}

const lengthOf = ({ rules }: JsonSchemaGrammar): number =>
  [...rules].reduce((sum, [name, body]) => sum + name.length + body.length + 6, 0)

const argumentGrammar = (schema: object, form: ParameterForm | null, options: JsonSchemaGrammarOptions): JsonSchemaGrammar =>
  form === null ? jsonSchemaGrammar(schema, options) : parameterGrammar(schema, form, options)

/** Null for a tool that is not strict and whose schema grammars cannot hold. */
function compile ({ parameters, isStrict }: ToolDefinition, index: number, form: ParameterForm | null, budget: WorkBudget): JsonSchemaGrammar | null {
  if (budget.isSpent && !isStrict) return null
  try {
    return argumentGrammar(parameters ?? noArguments, form, { prefix: `tool${index}`, param: `tools[${index}].function.parameters`, budget })
  } catch (error) {
    if (isStrict || !(error instanceof ServerError)) throw error
    return null
  }
}
