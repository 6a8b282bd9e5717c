import { invalidSchema, locate, resolveReference, unsupportedSchema, type Conjunction, type LocatedSchema, type SchemaObject } from './located-schema.ts'
import { isAnnotation, readConstraints } from './read-constraints.ts'
import { bothConstraints, noConstraints, type Constraints } from './schema-constraints.ts'
import { areDisjoint } from './disjoint-constraints.ts'
import type { WorkBudget } from './work-budget.ts'

/** Most alternatives that a schema comes to when those of several keywords are combined. */
const maxAlternatives = 256

/** What a schema is, beside what it asks itself. */
type Shape =
  | { readonly kind: 'anything' }
  /** Nothing but a reference. */
  | { readonly kind: 'reference', readonly target: LocatedSchema }
  /** Nothing but alternatives. */
  | { readonly kind: 'union', readonly branches: readonly LocatedSchema[] }
  | { readonly kind: 'constraints' }

/** About what reading a small schema takes, in steps of a budget. */
const stepsOfRead = 50

/** Reads schemas as lists of alternatives that have none within. */
export class SchemaAlternatives {
  readonly #root: LocatedSchema
  readonly #budget: WorkBudget
  /** Schemas whose `oneOf` is known to have alternatives that no value fits two of; they are read many times. */
  readonly #disjoint = new Set<SchemaObject>()

  constructor (root: LocatedSchema, budget: WorkBudget) {
    this.#root = root
    this.#budget = budget
  }

  shapeOf ({ schema, path }: LocatedSchema): Shape {
    if (schema === true) return { kind: 'anything' }
    if (schema === false) return { kind: 'constraints' }
    const keywords = Object.keys(schema).filter((keyword) => !isAnnotation(keyword))
    if (keywords.length === 0) return { kind: 'anything' }
    const [only] = keywords
    if (keywords.length > 1) return { kind: 'constraints' }
    if (only === '$ref') return { kind: 'reference', target: resolveReference(this.#root, schema['$ref'], `${path}.$ref`) }
    if (only !== 'anyOf' && only !== 'oneOf') return { kind: 'constraints' }
    return { kind: 'union', branches: this.#unionOf(schema, only, path) }
  }

  /** Every way to fit all of the schemas; none when nothing does. */
  read (schemas: Conjunction, within: readonly LocatedSchema['schema'][] = []): readonly Constraints[] {
    return this.#combine(schemas.map((schema) => this.#alternativesOf(schema, within)), schemas[0]?.path ?? this.#root.path)
  }

  #combine (lists: ReadonlyArray<readonly Constraints[]>, path: string): readonly Constraints[] {
    return lists.reduce((combined, list) => {
      if (combined.length * list.length > maxAlternatives) {
        throw unsupportedSchema(path, `combined it comes to more than ${maxAlternatives} alternatives`)
      }
      return combined.flatMap((one) => list.map((other) => {
        this.#budget.spend(sizeOf(one) + sizeOf(other))
        return bothConstraints(one, other)
      }))
    }, [noConstraints])
  }

  #alternativesOf (located: LocatedSchema, within: readonly LocatedSchema['schema'][]): readonly Constraints[] {
    const { schema, path } = located
    this.#budget.spend(stepsOfRead)
    if (schema === true) return [noConstraints]
    if (schema === false) return []
    if (within.includes(schema)) throw invalidSchema(path, 'the schema refers to itself without anything between')
    const inner = [...within, schema]
    const lists: Array<readonly Constraints[]> = [[readConstraints({ schema, path })]]
    if (Object.hasOwn(schema, '$ref')) lists.push(this.#alternativesOf(resolveReference(this.#root, schema['$ref'], `${path}.$ref`), inner))
    if (Object.hasOwn(schema, 'allOf')) {
      for (const part of branchesOf(schema, 'allOf', path)) lists.push(this.#alternativesOf(part, inner))
    }
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      if (!Object.hasOwn(schema, keyword)) continue
      lists.push(this.#unionOf(schema, keyword, path).flatMap((branch) => this.#alternativesOf(branch, inner)))
    }
    return this.#combine(lists, path)
  }

  #unionOf (schema: SchemaObject, keyword: 'anyOf' | 'oneOf', path: string): readonly LocatedSchema[] {
    const branches = branchesOf(schema, keyword, path)
    if (keyword === 'oneOf' && !this.#disjoint.has(schema)) {
      this.#checkDisjoint(branches, `${path}.oneOf`)
      this.#disjoint.add(schema)
    }
    return branches
  }

  /** A value must fit exactly one of them: that is the same as any where none can fit two. */
  #checkDisjoint (branches: readonly LocatedSchema[], path: string): void {
    const lists = branches.map((branch) => this.read([branch]))
    for (const [index, list] of lists.entries()) {
      for (const [otherIndex, other] of lists.slice(0, index).entries()) {
        const overlap = list.some((a) => other.some((b) => {
          this.#budget.spend(sizeOf(a) + sizeOf(b))
          return !areDisjoint(a, b, (schema) => this.read([schema]))
        }))
        if (overlap) {
          throw unsupportedSchema(path, `a value might fit its alternatives ${otherIndex} and ${index} both, and whether it does cannot be kept track of; ` +
            'use "anyOf", or give each a required property with a "const" of its own')
        }
      }
    }
  }
}

const sizeOf = ({ values, patterns, formats, multiples, objects, required, propertyNames, arrays }: Constraints): number =>
  10 + (values?.value.length ?? 0) + patterns.length + formats.length + multiples.length + objects.length + required.size + propertyNames.length + arrays.length

function branchesOf (schema: SchemaObject, keyword: string, path: string): readonly LocatedSchema[] {
  const branches = schema[keyword]
  if (!Array.isArray(branches) || branches.length === 0) throw invalidSchema(`${path}.${keyword}`, `"${keyword}" is a list of at least one schema`)
  return branches.map((branch, index) => locate(branch, `${path}.${keyword}[${index}]`))
}
