import { ServerError } from '../../domain/errors.ts'
import { checkGbnf } from '../../engine/llama-cpp/gbnf-check.ts'
import { acceptsNothing, automatonOfTexts } from './automaton.ts'
import { contentOf } from './content-of.ts'
import { GrammarMemory } from './grammar-memory.ts'
import { formatGrammar, GrammarRules } from './grammar-rules.ts'
import { jsonObject } from './json-rules.ts'
import { jsonSchemaGrammar } from './json-schema-grammar.ts'
import { automatonOfRegex } from './regex-automaton.ts'
import { checkStrictSchema } from './strict-schema.ts'
import { textGrammar } from './text-grammar.ts'

/** What an answer has to look like, with the request's field that says so. */
export type OutputFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'grammar', readonly grammar: string }
  | { readonly kind: 'json-object', readonly param: string }
  | { readonly kind: 'json-schema', readonly param: string, readonly schema: unknown, readonly strictName: string | null }
  | { readonly kind: 'regex', readonly param: string, readonly pattern: string }
  | { readonly kind: 'choice', readonly param: string, readonly texts: readonly string[] }

/** Makes the grammars for output formats. */
export class OutputGrammars {
  readonly #memory: GrammarMemory

  constructor (memory = new GrammarMemory()) {
    this.#memory = memory
  }

  /**
   * The GBNF grammar that an answer follows; null for any text. A grammar that the client has written is checked.
   * @throws ServerError `invalid_value`, `unsupported_value` and `invalid_grammar`, with `param` at the keyword
   */
  of (format: OutputFormat): string | null {
    if (format.kind === 'text') return null
    if (format.kind !== 'grammar') {
      const content = unlessTooDeep(format, () => contentOf(format))
      return this.#memory.of(`format ${content}`, () => unlessTooDeep(format, () => write(format)))
    }
    return this.#memory.of(`grammar ${format.grammar}`, () => {
      checkGbnf(format.grammar)
      return format.grammar
    })
  }
}

type WrittenFormat = Exclude<OutputFormat, { readonly kind: 'text' | 'grammar' }>

function write (format: WrittenFormat): string {
  const grammar = grammarOf(format)
  try {
    // Else the engine would refuse it, in words about a grammar that the client never saw.
    checkGbnf(grammar)
  } catch (error) {
    throw new ServerError('unsupported_value', `'${format.param}' is too large for a grammar: ${(error as Error).message}`, { param: format.param, cause: error })
  }
  return grammar
}

/** What goes through a format calls itself for all that is nested. */
function unlessTooDeep (format: WrittenFormat, go: () => string): string {
  try {
    return go()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new ServerError('unsupported_value', `'${format.param}' is nested too deeply`, { param: format.param, cause: error })
  }
}

function grammarOf (format: WrittenFormat): string {
  const { kind, param } = format
  if (kind === 'json-schema') {
    const { schema, strictName } = format
    if (strictName !== null) checkStrictSchema(schema, `response_format '${strictName}'`, param)
    const { rootRule, rules } = jsonSchemaGrammar(schema, { prefix: 'json', param })
    return formatGrammar([['root', rootRule], ...rules])
  }
  const rules = new GrammarRules('text', param)
  const root = rootOf(format, rules)
  return formatGrammar([['root', root], ...rules.rules])
}

function rootOf (format: Exclude<WrittenFormat, { readonly kind: 'json-schema' }>, rules: GrammarRules): string {
  switch (format.kind) {
    case 'json-object': return jsonObject(rules)
    case 'choice': return textGrammar(rules, automatonOfTexts(format.texts, rules.budget), 'plain')
    case 'regex': {
      const automaton = automatonOfRegex(format.pattern, format.param, rules.budget)
      if (acceptsNothing(automaton)) {
        throw new ServerError('invalid_value', `Invalid value for '${format.param}': no text matches the regular expression`, { param: format.param })
      }
      return textGrammar(rules, automaton, 'plain')
    }
  }
}
