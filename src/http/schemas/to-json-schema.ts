import { z } from 'zod'
import { type JsonSchema, type WireForm, wireForms } from './wire-form.ts'

export interface ConvertedSchema {
  readonly schema: JsonSchema
  /** Schemas that it refers to, by their names under `#/components/schemas/`. */
  readonly definitions: Readonly<Record<string, JsonSchema>>
}

/** Of a schema and those that it adds checks to, the first of them first. */
function formsOf (schema: z.core.$ZodType): readonly NonNullable<WireForm['form']>[] {
  const { parent } = schema._zod
  const inherited = parent === undefined ? [] : formsOf(parent)
  const form = wireForms.get(schema)?.form
  return form === undefined || inherited.includes(form) ? inherited : [...inherited, form]
}

/** By trial: zod's conversion takes whatever has a preprocessing step for optional. */
const requiredOf = (schema: z.ZodObject): readonly string[] =>
  Object.entries(schema.shape).filter(([, member]) => !(member as z.ZodType).safeParse(undefined).success).map(([name]) => name)

/** The JSON Schema of what a zod schema takes from the wire. */
export function toJsonSchema (schema: z.ZodType): ConvertedSchema {
  const { $schema: _dialect, $defs: definitions = {}, ...converted } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    metadata: wireForms,
    unrepresentable: ({ zodSchema }) => wireForms.get(zodSchema)?.form === undefined ? 'throw' : {},
    override: ({ zodSchema, jsonSchema }) => {
      const { id: _id, form: _form, ...seen } = jsonSchema as JsonSchema
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
      if (zodSchema instanceof z.ZodObject) {
        const required = requiredOf(zodSchema)
        if (required.length > 0) seen['required'] = required
        else delete seen['required']
      }
      Object.assign(jsonSchema, formsOf(zodSchema).reduce((schema, form) => form(schema), seen))
    }
  }) as JsonSchema & { $defs?: Record<string, JsonSchema> }
  return inComponents({ schema: converted, definitions })
}

/** References lead to where an OpenAPI document keeps its schemas. */
function inComponents (converted: ConvertedSchema): ConvertedSchema {
  return JSON.parse(JSON.stringify(converted, (key, value: unknown) =>
    key === '$ref' && typeof value === 'string' ? value.replace('#/$defs/', '#/components/schemas/') : value)) as ConvertedSchema
}
