import { acceptsText, automatonOfTexts, complementOfAutomaton } from './automaton.ts'
import { checkCount } from './check-count.ts'
import { gbnfLiteral, gbnfRepeat, gbnfSequence } from './gbnf-text.ts'
import { colon, comma, jsonString } from './json-rules.ts'
import type { Compiler, Written } from './json-schema-grammar.ts'
import { unsupportedSchema, type Conjunction } from './located-schema.ts'
import { automatonOfRegex } from './regex-automaton.ts'
import type { Constraints } from './schema-constraints.ts'
import { patternOf, stringGrammar } from './string-grammar.ts'
import { textGrammar } from './text-grammar.ts'

interface Member {
  readonly name: string
  readonly value: string
  readonly isRequired: boolean
}

/** Members beside those that have a name. */
interface Extra {
  /** An element for the name, quotes included. */
  readonly key: string
  readonly value: string
}

/** States of members × how many there are, where that is limited. */
const maxStates = 2000

/** An object: its named members in the schema's order, then all others. Null when no object fits. */
export function objectGrammar (compiler: Compiler, constraints: Constraints, path: string): Written | null {
  const { required, places } = constraints
  const { names, additional, key } = namesOf(compiler, constraints)
  const members: Member[] = []
  for (const [name, schemas] of names) {
    const value = compiler.compile(schemas)
    const isRequired = required.has(name)
    if (value !== null) members.push({ name, value, isRequired })
    else if (isRequired) return null
  }
  for (const name of required) if (!names.has(name)) return null
  const extraValue = additional === null ? null : compiler.compile(additional)
  const extra = extraValue === null || key === null ? null : { key: key(), value: extraValue }
  const writer = new MemberWriter(compiler, members, extra, limitsOf(constraints, members, extra, places.object ?? path))
  const text = writer.write()
  if (text === null) return null
  return { text: gbnfSequence('"{"', text, '"}"'), needs: members.flatMap(({ isRequired, value }) => isRequired ? value : []) }
}

interface Names {
  /** What the members of these names have to fit. */
  readonly names: ReadonlyMap<string, Conjunction>
  /** What all others have to fit; null when there are none. */
  readonly additional: Conjunction | null
  /** Writes the element for the others' names; null when there are none. */
  readonly key: (() => string) | null
}

function namesOf (compiler: Compiler, constraints: Constraints): Names {
  const { objects, required, propertyNames } = constraints
  const named = new Set([...objects.flatMap(({ properties }) => [...properties.keys()]), ...required])
  const withPatterns = objects.find(({ patterns }) => patterns.length > 0)
  if (withPatterns !== undefined) {
    const [only, ...others] = withPatterns.patterns
    const isAlone = others.length === 0 && objects.length === 1 && propertyNames.length === 0 && withPatterns.additional.schema === false
    const path = `${withPatterns.patternsPath}.${only!.pattern}`
    const automaton = automatonOfRegex(only!.pattern, path, compiler.rules.budget, 'search')
    if (!isAlone || [...named].some((name) => acceptsText(automaton, name))) {
      throw unsupportedSchema(withPatterns.patternsPath, '"patternProperties" is only supported with one pattern, which no named property matches, and with "additionalProperties": false')
    }
    const key = (): string => `"\\"" ${textGrammar(compiler.rules, automaton, 'json')} "\\""`
    const names = new Map([...named].map((name): [string, Conjunction] => [name, [withPatterns.properties.get(name) ?? withPatterns.additional]]))
    return { names, additional: [only!.schema], key }
  }
  const schemasOf = (name: string): Conjunction => objects.map(({ properties, additional }) => properties.get(name) ?? additional)
  const additional = objects.map((part) => part.additional)
  const isClosed = additional.some(({ schema }) => schema === false)
  const asked = propertyNames.length === 0 ? null : readNames(compiler, propertyNames)
  if (asked?.kind === 'list') {
    // Only these names, whether or not there is something else about them.
    const allowed = isClosed ? asked.names.filter((name) => named.has(name)) : asked.names
    const order = [...[...named].filter((name) => allowed.includes(name)), ...allowed.filter((name) => !named.has(name))]
    return { names: new Map(order.map((name) => [name, schemasOf(name)])), additional: null, key: null }
  }
  const names = new Map([...named].map((name) => [name, schemasOf(name)]))
  if (asked?.kind === 'pattern' && named.size > 0) {
    throw unsupportedSchema(propertyNames[0]!.path, '"propertyNames" together with "properties" or "required" is only supported with "enum"')
  }
  if (isClosed) return { names, additional: null, key: null }
  return { names, additional, key: () => asked?.kind === 'pattern' ? asked.key() : otherName(compiler, [...named]) }
}

/** A member's name that is none of these. Without escapes that need not be, or it could be one of them in disguise. */
function otherName ({ rules }: Compiler, names: readonly string[]): string {
  if (names.length === 0) return jsonString(rules)
  return rules.share('name', () => `"\\"" ${textGrammar(rules, complementOfAutomaton(automatonOfTexts(names, rules.budget)), 'json')} "\\""`, `name ${JSON.stringify(names)}`)
}

type AskedNames = { readonly kind: 'list', readonly names: readonly string[] } | { readonly kind: 'pattern', key (): string }

/** What `propertyNames` asks; null when every name will do. */
function readNames (compiler: Compiler, schemas: Conjunction): AskedNames | null {
  const alternatives = compiler.read(schemas).filter(({ types }) => types === null || types.has('string'))
  if (alternatives.every(({ values }) => values !== null)) {
    return { kind: 'list', names: alternatives.flatMap(({ values }) => values!.value.filter((value): value is string => typeof value === 'string')) }
  }
  const [only, ...others] = alternatives
  if (only === undefined || others.length > 0) throw unsupportedSchema(schemas[0]!.path, '"propertyNames" is only supported without alternatives')
  const isAny = patternOf(only, compiler.rules.budget) === null && only.minLength === 0 && only.maxLength === Infinity && only.values === null
  return isAny ? null : { kind: 'pattern', key: () => stringGrammar(compiler.rules, only) ?? '' }
}

interface Limits {
  readonly least: number
  readonly most: number
}

/** How many members there have to be, where the members themselves do not see to it. */
function limitsOf ({ minProperties, maxProperties, required, propertyNames }: Constraints, members: readonly Member[], extra: Extra | null, path: string): Limits {
  checkCount(path, minProperties, maxProperties)
  const least = minProperties <= required.size ? 0 : minProperties
  const most = extra === null && maxProperties >= members.length ? Infinity : maxProperties
  // A name may come twice among those that are not known, and then counts once.
  if (extra !== null && least > required.size + 1) {
    throw unsupportedSchema(propertyNames[0]?.path ?? path, `"minProperties" (${minProperties}) can only be kept where it is at most one more than the required properties, or "additionalProperties" is false`)
  }
  const states = (members.length + 1) * (most < Infinity ? most + 1 : least + 1)
  if ((least > 0 || most < Infinity) && members.length > 0 && states > maxStates) {
    throw unsupportedSchema(path, '"minProperties" and "maxProperties" are not supported for so many properties')
  }
  return { least, most }
}

/** Writes members from left to right; each rest is a rule, by how many members came before where that matters. */
class MemberWriter {
  readonly #compiler: Compiler
  readonly #members: readonly Member[]
  readonly #extra: Extra | null
  readonly #limits: Limits
  readonly #rests = new Map<string, string | null>()

  constructor (compiler: Compiler, members: readonly Member[], extra: Extra | null, limits: Limits) {
    this.#compiler = compiler
    this.#members = members
    this.#extra = extra
    this.#limits = limits
  }

  /** Null when no number of members fits. */
  write (): string | null {
    // From the end to the beginning, so that no call goes deeper than one member.
    const { least, most } = this.#limits
    const highest = Math.min(this.#members.length, most < Infinity ? most : least)
    for (let index = this.#members.length - 1; index > 0; index--) {
      for (let count = 0; count <= highest; count++) {
        this.#rest(index, count, true)
        if (count === 0) this.#rest(index, 0, false)
      }
    }
    return this.#rest(0, 0, false)
  }

  /** What follows at a member when so many came before, which are counted as far as it matters. */
  #rest (index: number, count: number, isPreceded: boolean): string | null {
    const member = this.#members[index]
    const counted = Math.min(count, this.#limits.most < Infinity ? this.#limits.most : this.#limits.least)
    if (member === undefined) return this.#extras(counted, isPreceded)
    const key = `${index} ${counted} ${isPreceded}`
    const known = this.#rests.get(key)
    if (known !== undefined) return known
    const alternatives: string[] = []
    if (count < this.#limits.most) {
      const after = this.#rest(index + 1, counted + 1, true)
      const name = gbnfLiteral(JSON.stringify(member.name))
      if (after !== null) alternatives.push(gbnfSequence(isPreceded ? comma : '', name, colon, member.value, after))
    }
    if (!member.isRequired) {
      const after = this.#rest(index + 1, counted, isPreceded)
      // Behind a bare "|" the next rule's name would be read.
      if (after !== null) alternatives.push(after === '' ? '""' : after)
    }
    const rest = alternatives.length === 0 ? null : this.#compiler.rules.add('rest', alternatives.join(' | '))
    this.#rests.set(key, rest)
    return rest
  }

  #extras (count: number, isPreceded: boolean): string | null {
    const least = Math.max(0, this.#limits.least - count)
    const most = this.#limits.most - count
    if (this.#extra === null || most <= 0) return least > 0 ? null : ''
    const pair = gbnfSequence(this.#extra.key, colon, this.#extra.value)
    const further = `( ${comma} ${pair} )`
    if (isPreceded) return gbnfRepeat(further, least, most)
    const pairs = gbnfSequence(pair, gbnfRepeat(further, Math.max(0, least - 1), most - 1))
    return least > 0 ? pairs : `( ${pairs} )?`
  }
}
