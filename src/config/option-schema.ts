import type { Option } from './options.ts'
import { z } from 'zod'
import { configSchema, fakeConfigSchema } from './config.ts'
import { formatValue } from './value-kind.ts'

/** The part of a JSON schema that says what a single value may be. */
interface ValueSchema {
  readonly type?: string
  readonly const?: string
  readonly format?: string
  readonly enum?: readonly string[]
  readonly anyOf?: readonly ValueSchema[]
  readonly items?: ValueSchema
  readonly properties?: Readonly<Record<string, unknown>>
  readonly minimum?: number
  readonly maximum?: number
}

/** The schema of the field that an option fills; null for options that fill none by themselves. */
export function schemaOf (option: Option): z.ZodType | null {
  if (option.target.type !== 'config') return null
  const [field, member] = option.target.path
  const shape: Readonly<Record<string, z.ZodType>> = member === undefined ? configSchema.shape : fakeConfigSchema.shape
  const schema = shape[member ?? field]
  if (schema === undefined) throw new Error(`--${option.flag} fills ${option.target.path.join('.')}, which is no field of the config`)
  return schema
}

/** What values an option takes, in words for an error: `auto or a whole number from 1 to 64`. */
export function describeAllowed (option: Option): string {
  const schema = schemaOf(option)
  if (schema === null) return 'a text that is not empty'
  return listInWords(choices(z.toJSONSchema(schema, { io: 'input' }) as ValueSchema, option))
}

/** The words an option takes beside numbers: `['auto']`, `['off', 'cuda', …]`. */
export function allowedWords (option: Option): readonly string[] {
  const schema = schemaOf(option)
  return schema === null ? [] : words(z.toJSONSchema(schema, { io: 'input' }) as ValueSchema)
}

/** The default as one would write it, or null where there is none to write. */
export function defaultText (option: Option): string | null {
  const schema = schemaOf(option)
  if (schema === null) return null
  const value: unknown = schema.parse(undefined)
  return typeof value === 'object' ? null : formatValue(value, option.kind)
}

function words (schema: ValueSchema): readonly string[] {
  if (schema.const !== undefined) return [schema.const]
  return schema.enum ?? schema.anyOf?.flatMap(words) ?? []
}

function choices (schema: ValueSchema, option: Option): readonly string[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((choice) => choices(choice, option))
  if (schema.items !== undefined) return choices(schema.items, option)
  if (schema.properties !== undefined) return [`entries with ${Object.keys(schema.properties).join(', ')} as the documentation has them`]
  const known = words(schema)
  if (known.length > 0) return known
  const from = formatValue(schema.minimum ?? 0, option.kind)
  const to = formatValue(schema.maximum ?? Infinity, option.kind)
  switch (option.kind) {
    case 'integer': return [`a whole number from ${from} to ${to}`]
    case 'number': return [`a number from ${from} to ${to}`]
    case 'duration': return [`a time from ${from} to ${to}, such as 500ms, 30s or 10m (a bare number is milliseconds)`]
    case 'bytes': return [`a size from ${from} to ${to}, such as 64KiB or 32MiB (a bare number is bytes)`]
    case 'switch': return ['true or false']
    case 'text': return [schema.format === 'uri' ? `an address such as ${option.placeholder}` : 'a text that is not empty']
  }
}

function listInWords (items: readonly string[]): string {
  if (items.length < 2) return items.join('')
  return `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`
}
