import { acceptsNothing, automatonOfLengths, automatonOfTexts, intersectAutomata, type Automaton } from './automaton.ts'
import { checkCount } from './check-count.ts'
import { allCodePoints, codePointsOf, complementOf, subtractCodePoints } from './code-points.ts'
import { gbnfChoice, gbnfClass, gbnfLiteral, gbnfRepeat, gbnfSequence } from './gbnf-text.ts'
import type { GrammarRules } from './grammar-rules.ts'
import { jsonValue } from './json-rules.ts'
import { schemaGrammar, type Compiler, type JsonSchemaGrammar, type JsonSchemaGrammarOptions } from './json-schema-grammar.ts'
import { invalidSchema, unsupportedSchema, type Conjunction, type LocatedSchema } from './located-schema.ts'
import { argumentJson, isText, typesOf } from './parameter-types.ts'
import type { Constraints, JsonType } from './schema-constraints.ts'
import { patternOf } from './string-grammar.ts'
import { textGrammar } from './text-grammar.ts'

/** How a format writes arguments one by one, rather than as one JSON object. */
export interface ParameterForm {
  /** What stands before the value of a parameter. */
  readonly open: (name: string) => string
  /** Names that it can write. */
  readonly name: RegExp
  /**
   * What stands behind a value. Texts then have no quotes and no escapes, so none can hold the marker, which has `<` as its first
   * character and nowhere else. Null where texts are JSON, with nothing behind them.
   */
  readonly end: { readonly before: string, readonly marker: string, readonly after: string } | null
  readonly separator: string
}

/**
 * Writes the schema of a tool's arguments as a grammar for them in this form: the schema's properties in their order, those that
 * are not required or not. Properties that the schema does not name are left out; texts with a pattern, a format or a longer limit
 * have no `<`.
 *
 * @throws ServerError `invalid_value` and `unsupported_value`, with `param` at the keyword
 */
export const parameterGrammar = (schema: unknown, form: ParameterForm, options: JsonSchemaGrammarOptions): JsonSchemaGrammar =>
  schemaGrammar(schema, options, (compiler, root) => {
    const constraints = constraintsOf(compiler, root)
    const names = new Set([...constraints.objects.flatMap(({ properties }) => [...properties.keys()]), ...constraints.required])
    if (names.size > 0) return writeParameters(compiler, constraints, [...names], form)
    const others = constraints.objects.map(({ additional }) => additional)
    if (others.some((other) => other.schema === false)) return compiler.rules.add('none', '""')
    const limit = others.find(({ schema }) => typeof schema === 'object' && Object.keys(schema).length > 0)
    if (limit !== undefined) throw unsupportedSchema(limit.path, 'in this model\'s format it is only supported beside "properties"')
    return anyParameters(compiler.rules, form)
  })

/** What one object has to fit; as alternatives would need it, nothing is known of the others when the first argument is written. */
function constraintsOf (compiler: Compiler, root: LocatedSchema): Constraints {
  const [only, ...others] = compiler.read([root]).filter(({ types }) => types === null || types.has('object'))
  if (only === undefined) throw invalidSchema(root.path, 'no object fits it')
  const refuse = (path: string, what: string): never => { throw unsupportedSchema(path, `in this model's format ${what} not supported for all arguments together`) }
  if (others.length > 0) return refuse(root.path, 'alternatives are')
  if (only.values !== null) return refuse(only.values.path, '"enum" and "const" are')
  const patterns = only.objects.find((part) => part.patterns.length > 0)
  if (patterns !== undefined) return refuse(patterns.patternsPath, '"patternProperties" is')
  if (only.propertyNames[0] !== undefined) return refuse(only.propertyNames[0].path, '"propertyNames" is')
  if (only.minProperties > only.required.size || only.maxProperties < Infinity) return refuse(only.places.object ?? root.path, '"minProperties" and "maxProperties" are')
  return only
}

function writeParameters (compiler: Compiler, { objects, required }: Constraints, names: readonly string[], form: ParameterForm): string {
  const { rules } = compiler
  // What follows, as it is written at the beginning and after another parameter.
  let rest = { first: '', next: '' }
  for (const name of [...names].reverse()) {
    const schemas = objects.map(({ properties, additional }) => properties.get(name) ?? additional)
    const { path } = schemas[0]!
    const isRequired = required.has(name)
    const value = valueOf(compiler, schemas, form)
    if (value === null) {
      if (isRequired) throw invalidSchema(path, 'no value fits it')
      continue
    }
    if (!form.name.test(name)) throw unsupportedSchema(path, 'this name cannot be written in this model\'s format')
    const { next } = rest
    const put = (before: string, without: string): string => {
      const given = gbnfSequence(gbnfLiteral(before + form.open(name)), value, gbnfLiteral(endOf(form)), next)
      return rules.add('rest', isRequired ? given : `${given} | ${without === '' ? '""' : without}`)
    }
    const first = put('', rest.first)
    rest = { first, next: form.separator === '' ? first : put(form.separator, next) }
  }
  return rest.first === '' ? rules.add('none', '""') : rest.first
}

const endOf = ({ end }: ParameterForm): string => end === null ? '' : end.before + end.marker + end.after

/** Arguments of any name and value. */
function anyParameters (rules: GrammarRules, form: ParameterForm): string {
  const [before = '', after = ''] = form.open('\0').split('\0')
  const value = form.end === null ? jsonValue(rules) : freeText(rules, form.end.marker)
  const parameter = gbnfSequence(gbnfLiteral(before), '[A-Za-z_] [A-Za-z0-9_]{0,63}', gbnfLiteral(after), value, gbnfLiteral(endOf(form)))
  const more = gbnfSequence(gbnfLiteral(form.separator), parameter)
  return rules.add('any', `( ${parameter} ( ${more} )* )?`)
}

const string = { type: 'string' } as const
const noString = { type: ['object', 'array', 'number', 'boolean', 'null'] } as const

/** Null when no value fits. */
function valueOf (compiler: Compiler, schemas: Conjunction, { end }: ParameterForm): string | null {
  if (end === null) return compiler.compile(schemas)
  const { path } = schemas[0]!
  const limitedTo = (schema: object): Conjunction => [...schemas, { schema: schema as Record<string, unknown>, path }]
  const others = compiler.read(limitedTo(noString))
  const types = typesOf(compiler.read(schemas))
  const other = [...types].every((type) => type === 'string') ? null : compiler.compile(limitedTo(noString))
  const texts = compiler.read(limitedTo(string)).filter(({ types: asked }) => asked?.has('string') ?? true).flatMap((constraints) => {
    if (constraints.values === null && others.some(({ values }) => values?.value.some((value) => typeof value === 'boolean') ?? false)) {
      throw unsupportedSchema(path, 'in this model\'s format texts cannot be told from a "true" or "false" of "enum" or "const"')
    }
    return textOf(compiler.rules, constraints, types, end.marker, path) ?? []
  })
  const elements = other === null ? texts : [...texts, other]
  return elements.length === 0 ? null : gbnfChoice(elements)
}

/** A text without quotes that is not taken for a value of the other types. */
function textOf (rules: GrammarRules, constraints: Constraints, types: ReadonlySet<JsonType>, marker: string, path: string): string | null {
  if (constraints.values !== null) return listedTexts(rules, constraints, types, marker)
  const { minLength, maxLength, places } = constraints
  if (minLength > maxLength) return null
  const first = firstCharacters(types)
  const pattern = patternOf(constraints, rules.budget)
  let lengths: Automaton | null = null
  if (pattern === null && (minLength > 0 || maxLength < Infinity)) {
    checkCount(places.string, minLength, maxLength)
    if ((maxLength === Infinity ? minLength : maxLength) <= mostCounted) {
      lengths = automatonOfLengths(minLength, maxLength)
    } else {
      if (first !== null) throw unsupportedSchema(places.string ?? path, 'in this model\'s format it is not supported where the value may also be an object, an array or a number')
      return gbnfRepeat(gbnfClass(notMarker(marker)), minLength, maxLength)
    }
  }
  if (pattern === null && lengths === null && first === null) return freeText(rules, marker)
  const text = [pattern, lengths, first].filter((each) => each !== null)
    .reduce((all, each) => both(all, each, rules, path), pattern === null ? automatonWithout(marker) : withoutCharacter(marker))
  return acceptsNothing(text) ? null : textGrammar(rules, text, 'plain')
}

function listedTexts (rules: GrammarRules, { values, places }: Constraints, types: ReadonlySet<JsonType>, marker: string): string | null {
  const texts = values!.value.filter((value): value is string => typeof value === 'string')
  if (texts.length === 0) return null
  if (places.string !== undefined) throw unsupportedSchema(places.string, 'this keyword together with "enum" or "const" is not supported; leave out the values that it excludes')
  for (const text of texts) {
    if (text.includes(marker) || (!isText(types) && argumentJson(text, types) !== JSON.stringify(text))) {
      throw unsupportedSchema(values!.path, `this model's format cannot write the text ${JSON.stringify(text.slice(0, 80))}`)
    }
  }
  return textGrammar(rules, automatonOfTexts(texts, rules.budget), 'plain')
}

function both (a: Automaton, b: Automaton, rules: GrammarRules, path: string): Automaton {
  const common = intersectAutomata(a, b, maxStates, rules.budget)
  if (common === null) throw unsupportedSchema(path, `it needs more than ${maxStates} states, which is the limit`)
  return common
}

/** Up to this length both a text's length and the beginnings of the marker are kept track of: states are the one times the other. */
const mostCounted = 30

/** Each state is a rule of the grammar, or a part of one. */
const maxStates = 2000

const freeText = (rules: GrammarRules, marker: string): string => rules.share('anytext', () => textGrammar(rules, automatonWithout(marker), 'plain'))

const notMarker = (marker: string): ReturnType<typeof complementOf> => complementOf(codePointsOf(marker.charAt(0)))

/** Texts without the marker's first character. */
const withoutCharacter = (marker: string): Automaton => [{ isEnd: true, transitions: [{ on: notMarker(marker), to: 0 }] }]

/** Texts without a marker whose first character it has nowhere else. */
function automatonWithout (marker: string): Automaton {
  const [first] = marker
  return Array.from(marker, (character, state) => {
    const goesOn = state + 1 === marker.length ? [] : [{ on: codePointsOf(character), to: state + 1 }]
    const startsAgain = state === 0 ? [] : [{ on: codePointsOf(first!), to: 1 }]
    return { isEnd: true, transitions: [...goesOn, ...startsAgain, { on: subtractCodePoints(allCodePoints, codePointsOf(state === 0 ? first! : first! + character)), to: 0 }] }
  })
}

/** Texts that do not begin as values of the other types do; null for any. "true" and "null" may as well be what they look like. */
function firstCharacters (types: ReadonlySet<JsonType>): Automaton | null {
  const excluded = (types.has('object') ? '{' : '') + (types.has('array') ? '[' : '') + (types.has('number') || types.has('integer') ? '-0123456789' : '')
  if (excluded === '') return null
  const spaces = ' \t\n\r\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff'
  return [
    { isEnd: true, transitions: [{ on: complementOf(codePointsOf(excluded + spaces)), to: 1 }] },
    { isEnd: true, transitions: [{ on: allCodePoints, to: 1 }] }
  ]
}
