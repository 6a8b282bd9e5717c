import { arrayGrammar } from './array-grammar.ts'
import { GrammarRules } from './grammar-rules.ts'
import { jsonArray, jsonBoolean, jsonNull, jsonObject, jsonValue } from './json-rules.ts'
import { invalidSchema, locate, unsupportedSchema, type Conjunction, type LocatedSchema } from './located-schema.ts'
import { numberGrammar } from './number-grammar.ts'
import { objectGrammar } from './object-grammar.ts'
import { SchemaAlternatives } from './schema-alternatives.ts'
import { hasType, typeOfValue, writtenTypes, type Constraints, type JsonType } from './schema-constraints.ts'
import { stringGrammar } from './string-grammar.ts'
import { textGrammar } from './text-grammar.ts'
import { automatonOfTexts } from './automaton.ts'
import type { WorkBudget } from './work-budget.ts'

/** GBNF rules to put into a grammar: `root ::= "…" <rootRule> "…"`. */
export interface JsonSchemaGrammar {
  /** The rule that the JSON text of a value follows, without blanks around it. */
  readonly rootRule: string
  /** Name to body. All names begin with the prefix that was asked for. */
  readonly rules: ReadonlyMap<string, string>
}

export interface JsonSchemaGrammarOptions {
  /** Letters and digits, beginning with a letter; different for each of the schemas of one grammar. */
  readonly prefix: string
  /** The request's field that the schema is in, for errors: `tools[0].function.parameters`. */
  readonly param: string
  /** For this schema and others; one for itself where there is none. */
  readonly budget?: WorkBudget
}

/** Schemas within schemas, references followed. */
const maxDepth = 128

/**
 * Writes a JSON Schema as grammar rules. Every text of theirs is a JSON value that the schema accepts; what they leave out of the
 * values it accepts is in docs/structured-output.md (the order of members, for one).
 *
 * @throws ServerError `invalid_value` for what is no schema, `unsupported_value` for what it asks that cannot be held; `param` names
 * the keyword.
 */
export const jsonSchemaGrammar = (schema: unknown, options: JsonSchemaGrammarOptions): JsonSchemaGrammar =>
  schemaGrammar(schema, options, (compiler, root) => {
    const name = compiler.compile([root])
    if (name === null) throw invalidSchema(root.path, 'no value fits it')
    return name
  })

/**
 * Writes a schema as whatever `write` makes of its parts.
 * @throws ServerError what {@link jsonSchemaGrammar} throws
 */
export function schemaGrammar (schema: unknown, { prefix, param, budget }: JsonSchemaGrammarOptions, write: (compiler: Compiler, root: LocatedSchema) => string): JsonSchemaGrammar {
  const root = locate(schema, param)
  const rules = new GrammarRules(prefix, param, budget)
  const compiler = new SchemaCompiler(rules, root)
  const rootRule = write(compiler, root)
  compiler.finish()
  return { rootRule, rules: rules.rules }
}

/** A rule's text, and the rules that a text of it always has: null where no value fits. */
export interface Written {
  readonly text: string
  readonly needs: readonly string[]
}

/** What the writers of objects and arrays get to write what is in them. */
export interface Compiler {
  readonly rules: GrammarRules
  /** The name of the rule for values that fit all of the schemas; null when there are none. */
  compile (schemas: Conjunction): string | null
  read (schemas: Conjunction): readonly Constraints[]
}

interface KnownRule {
  readonly name: string
  readonly path: string
  isWritten: boolean
  isUsed: boolean
  isPossible: boolean
  alternatives: readonly Written[]
}

class SchemaCompiler implements Compiler {
  readonly rules: GrammarRules
  readonly #schemas: SchemaAlternatives
  readonly #known = new Map<string, KnownRule>()
  readonly #byName = new Map<string, KnownRule>()
  readonly #numbers = new Map<LocatedSchema['schema'], number>()
  /** Rules that begin with another one's text, and so must not come back to themselves. */
  readonly #unions = new Map<string, readonly string[]>()
  #depth = 0

  constructor (rules: GrammarRules, root: LocatedSchema) {
    this.rules = rules
    this.#schemas = new SchemaAlternatives(root, rules.budget)
  }

  /** Refuses what only shows when all is written. */
  finish (): void {
    this.#refuseCircles()
    this.#refuseEndless()
  }

  read (schemas: Conjunction): readonly Constraints[] {
    return this.#schemas.read(schemas)
  }

  compile (schemas: Conjunction): string | null {
    const followed = this.#follow(schemas)
    if (followed.length === 0) return jsonValue(this.rules)
    const key = followed.map(({ schema }) => this.#numberOf(schema)).sort((a, b) => a - b).join(' ')
    const known = this.#known.get(key)
    if (known !== undefined) {
      known.isUsed = true
      return known.isPossible ? known.name : null
    }
    const { path } = followed[0]!
    const rule: KnownRule = { name: this.rules.reserve(purposeOf(path)), path, isWritten: false, isUsed: false, isPossible: true, alternatives: [] }
    this.#known.set(key, rule)
    this.#byName.set(rule.name, rule)
    if (++this.#depth > maxDepth) throw unsupportedSchema(path, `it is more than ${maxDepth} levels deep`)
    rule.alternatives = this.#alternatives(rule, followed)
    this.#depth--
    rule.isWritten = true
    if (rule.alternatives.length === 0) {
      if (rule.isUsed) throw invalidSchema(path, 'no value fits it')
      rule.isPossible = false
      this.rules.remove(rule.name)
      return null
    }
    this.rules.define(rule.name, [...new Set(rule.alternatives.map(({ text }) => text))].join(' | '))
    return rule.name
  }

  /** Leaves out what asks nothing, and goes where bare references lead. */
  #follow (schemas: Conjunction): Conjunction {
    const followed = new Map<LocatedSchema['schema'], LocatedSchema>()
    for (let located of schemas) {
      const passed = new Set<unknown>()
      for (let shape = this.#schemas.shapeOf(located); ; shape = this.#schemas.shapeOf(located)) {
        if (shape.kind === 'anything') break
        if (shape.kind !== 'reference') {
          followed.set(located.schema, located)
          break
        }
        if (passed.has(located.schema)) throw invalidSchema(located.path, 'the schema refers to itself without anything between')
        passed.add(located.schema)
        located = shape.target
      }
    }
    return [...followed.values()]
  }

  #numberOf (schema: LocatedSchema['schema']): number {
    let number = this.#numbers.get(schema)
    if (number === undefined) this.#numbers.set(schema, number = this.#numbers.size)
    return number
  }

  #alternatives (rule: KnownRule, schemas: Conjunction): readonly Written[] {
    const [only] = schemas
    const shape = schemas.length === 1 && only !== undefined ? this.#schemas.shapeOf(only) : null
    if (shape?.kind === 'union') {
      const names = shape.branches.flatMap((branch) => this.compile([branch]) ?? [])
      this.#unions.set(rule.name, names)
      return names.map((name) => ({ text: name, needs: [name] }))
    }
    return this.#schemas.read(schemas).flatMap((constraints) => this.#write(constraints, rule.path))
  }

  #write (constraints: Constraints, path: string): readonly Written[] {
    const types = writtenTypes(constraints)
    if (constraints.values !== null) return this.#writeValues(constraints, constraints.values.value, types)
    return [...types].flatMap((type): readonly Written[] => {
      // Every integer is a number, too.
      if (type === 'integer' && types.has('number')) return []
      const written = this.#writeType(constraints, type, path)
      return written === null ? [] : [typeof written === 'string' ? { text: written, needs: [] } : written]
    })
  }

  #writeType (constraints: Constraints, type: JsonType, path: string): Written | string | null {
    const isConstrained = type in constraints.places
    switch (type) {
      case 'null': return jsonNull
      case 'boolean': return jsonBoolean
      case 'integer':
      case 'number': return numberGrammar(this.rules, constraints, type)
      case 'string': return stringGrammar(this.rules, constraints)
      case 'array': return isConstrained ? arrayGrammar(this, constraints) : jsonArray(this.rules)
      case 'object': return isConstrained ? objectGrammar(this, constraints, path) : jsonObject(this.rules)
    }
  }

  #writeValues (constraints: Constraints, values: readonly unknown[], types: ReadonlySet<JsonType>): readonly Written[] {
    const fitting = constraints.types === null ? values : values.filter((value) => hasType(types, typeOfValue(value)))
    for (const value of fitting) {
      const type = typeOfValue(value)
      const place = constraints.places[(type === 'integer' ? 'number' : type) as 'string']
      if (place !== undefined) throw unsupportedSchema(place, 'this keyword together with "enum" or "const" is not supported; leave out the values that it excludes')
    }
    if (fitting.length === 0) return []
    return [{ text: textGrammar(this.rules, automatonOfTexts(fitting.map((value) => jsonOf(value, constraints.values!.path)), this.rules.budget), 'plain'), needs: [] }]
  }

  /** A union that leads to itself would be left recursion, which says nothing and which no engine can follow. */
  #refuseCircles (): void {
    const done = new Set<string>()
    const visit = (name: string, above: ReadonlySet<string>): void => {
      if (above.has(name)) throw invalidSchema(this.#byName.get(name)!.path, 'the schema refers to itself without anything between')
      if (done.has(name)) return
      const within = new Set([...above, name])
      for (const branch of this.#unions.get(name) ?? []) visit(branch, within)
      done.add(name)
    }
    for (const name of this.#unions.keys()) visit(name, new Set())
  }

  /** A value that must hold one of its own kind has no end. */
  #refuseEndless (): void {
    const finite = new Set<string>()
    const innerFirst = [...this.#byName.values()].reverse()
    for (let before = -1; before !== finite.size;) {
      before = finite.size
      for (const { name, alternatives } of innerFirst) {
        const isFinite = (name: string): boolean => finite.has(name) || !this.#byName.has(name)
        if (alternatives.some(({ needs }) => needs.every(isFinite))) finite.add(name)
      }
    }
    for (const { name, path, isPossible } of this.#byName.values()) {
      if (isPossible && !finite.has(name)) throw invalidSchema(path, 'every value of it would have to hold another one, without end')
    }
  }
}

/** A value's JSON. Numbers beyond what a double holds are read as infinite, of which there is no JSON. */
function jsonOf (value: unknown, path: string): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === Infinity || part === -Infinity) throw invalidSchema(path, 'a number is too large')
    return part
  })
}

/** The last name in a path, so that a grammar can be read. */
function purposeOf (path: string): string {
  const name = /([A-Za-z0-9]+)(?:\[\d+\])*$/.exec(path)?.[1] ?? 'part'
  return name.slice(0, 24)
}
