import { z } from 'zod'
import { toJsonSchema } from './to-json-schema.ts'
import { wireForms } from './wire-form.ts'

/** An object with so many members at most; they are counted first, because a schema notes every member that is wrong. */
export const boundedRecord = <Value extends z.ZodType>(value: Value, most: number, what: string) =>
  z.looseObject({}).refine((object) => Object.keys(object).length <= most, { error: `expected at most ${most} ${what}`, abort: true })
    .pipe(z.record(z.string(), value))
    .register(wireForms, { form: () => ({ type: 'object', maxProperties: most, additionalProperties: toJsonSchema(value).schema }) })
