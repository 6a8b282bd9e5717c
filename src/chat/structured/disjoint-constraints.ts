import type { LocatedSchema } from './located-schema.ts'
import { allTypes, canonicalJson, commonTypes, hasType, typeOfValue, type Constraints, type JsonType, type ObjectPart } from './schema-constraints.ts'

type Read = (schema: LocatedSchema) => readonly Constraints[]

/** Objects within objects are looked into this far. */
const maxDepth = 4

/** Whether no value can fit both, as far as types, values and required properties tell; false says nothing. */
export function areDisjoint (a: Constraints, b: Constraints, read: Read, depth = 0): boolean {
  if (a.values !== null && b.values !== null) {
    const known = new Set(b.values.value.map(canonicalJson))
    if (!a.values.value.some((value) => known.has(canonicalJson(value)))) return true
  }
  const common = commonTypes(possibleTypes(a), possibleTypes(b))
  for (const type of common) {
    if (type !== 'object' || !areDisjointObjects(a, b, read, depth)) return false
  }
  return true
}

function possibleTypes ({ types, values }: Constraints): ReadonlySet<JsonType> {
  const asked = types ?? new Set(allTypes)
  return values === null ? asked : new Set(values.value.map(typeOfValue).filter((type) => hasType(asked, type)))
}

function areDisjointObjects (a: Constraints, b: Constraints, read: Read, depth: number): boolean {
  if (depth >= maxDepth) return false
  const isForbidden = (name: string, { objects }: Constraints): boolean => objects.some(({ properties, patterns, additional }) =>
    patterns.length === 0 && (properties.get(name) ?? additional).schema === false)
  for (const name of new Set([...a.required, ...b.required])) {
    if (isForbidden(name, a) || isForbidden(name, b)) return true
    if (!a.required.has(name) || !b.required.has(name)) continue
    const schemasOf = ({ objects }: Constraints): LocatedSchema[] => objects.flatMap((part: ObjectPart) => part.properties.get(name) ?? [])
    for (const one of schemasOf(a)) {
      for (const other of schemasOf(b)) {
        const others = read(other)
        if (read(one).every((x) => others.every((y) => areDisjoint(x, y, read, depth + 1)))) return true
      }
    }
  }
  return false
}
