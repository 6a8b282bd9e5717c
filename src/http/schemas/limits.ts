import { z } from 'zod'
import { limitFields, type LimitName, limitNames, type Limits, type LimitsChange, snakeName } from '../../domain/limits.ts'

const limitOf = (name: LimitName): z.ZodType<number | 'off'> => {
  const field = limitFields[name]
  return z.union([z.literal('off'), field], `expected "off" or a number from ${field.minValue} to ${field.maxValue}`)
}

const objectOf = <Schema extends z.ZodType> (schemaOf: (name: LimitName) => Schema) =>
  z.strictObject(Object.fromEntries(limitNames.map((name) => [snakeName(name), schemaOf(name).optional()])))

/** Limits in an API. */
export const apiLimitsSchema = objectOf(limitOf)

/** Changes of them: null takes a limit away, so that the default holds. */
export const limitsChangeSchema = objectOf((name) => limitOf(name).nullable())

export const toLimits = (limits: z.output<typeof apiLimitsSchema>): Limits => toChange(limits) as Limits

export const toChange = (limits: z.output<typeof limitsChangeSchema>): LimitsChange =>
  Object.fromEntries(limitNames.flatMap((name) => limits[snakeName(name)] === undefined ? [] : [[name, limits[snakeName(name)]]]))

export const toApiLimits = (limits: Limits): Record<string, number | 'off'> => Object.fromEntries(limitNames.flatMap((name) => {
  const value = limits[name]
  return value === undefined ? [] : [[snakeName(name), value]]
}))
