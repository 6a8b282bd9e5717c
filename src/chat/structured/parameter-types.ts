import { ServerError } from '../../domain/errors.ts'
import { locate } from './located-schema.ts'
import { SchemaAlternatives } from './schema-alternatives.ts'
import { hasType, typeOfValue, writtenTypes, type Constraints, type JsonType } from './schema-constraints.ts'
import { WorkBudget } from './work-budget.ts'

/** Which types each argument of a tool may have, for formats that write texts without quotes. */
export class ParameterTypes {
  readonly #schema: unknown
  readonly #budget = new WorkBudget('tools')
  readonly #known = new Map<string, ReadonlySet<JsonType> | null>()

  /** @param schema of all arguments */
  constructor (schema: unknown) {
    this.#schema = schema
  }

  /** Null where every type will do, or the schema does not say in words that are understood here. */
  of (name: string): ReadonlySet<JsonType> | null {
    let types = this.#known.get(name)
    if (types === undefined) this.#known.set(name, types = this.#find(name))
    return types
  }

  #find (name: string): ReadonlySet<JsonType> | null {
    try {
      const root = locate(this.#schema, 'tools')
      const alternatives = new SchemaAlternatives(root, this.#budget)
      const types = alternatives.read([root]).flatMap(({ objects }) =>
        [...typesOf(alternatives.read(objects.map(({ properties, additional }) => properties.get(name) ?? additional)))])
      return types.length === 0 ? null : new Set(types)
    } catch (error) {
      if (error instanceof ServerError || error instanceof RangeError) return null
      throw error
    }
  }
}

export const typesOf = (alternatives: readonly Constraints[]): ReadonlySet<JsonType> =>
  new Set(alternatives.flatMap((constraints) => constraints.values === null
    ? [...writtenTypes(constraints)]
    : constraints.values.value.map(typeOfValue)))

const pythonConstants: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' }

/**
 * The JSON of an argument that was written without quotes where it is a text: the value that it is written as, where that is
 * no text and the types have it, else the text.
 */
export function argumentJson (text: string, types: ReadonlySet<JsonType> | null): string {
  const trimmed = text.trim()
  const json = types !== null && Object.hasOwn(pythonConstants, trimmed) ? pythonConstants[trimmed]! : trimmed
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value !== 'string' && (types === null || hasType(types, typeOfValue(value)))) return json
  } catch {
    // It is a text.
  }
  return JSON.stringify(text)
}

/** Whether an argument of these types can be nothing but a text. */
export const isText = (types: ReadonlySet<JsonType> | null): boolean => types !== null && types.size === 1 && types.has('string')
