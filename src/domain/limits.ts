import { z } from 'zod'

const tokensOfBudget = z.int().min(1).max(1_000_000_000_000_000)
const money = z.number().min(0.000_001).max(1_000_000_000_000)

/** What can be limited. The names are the same everywhere, in the way that each place writes names: `tokensPerDay`, `tokens_per_day`, `tokens-per-day`. */
export const limitFields = {
  /** Buckets that hold as much as a minute gives, and fill evenly. Tokens are those of prompt and answer. */
  requestsPerMinute: z.int().min(1).max(1_000_000),
  tokensPerMinute: z.int().min(1).max(1_000_000_000),
  /** Budgets, of days and months of UTC. */
  tokensPerDay: tokensOfBudget,
  tokensPerMonth: tokensOfBudget,
  /** In the currency of the price list. */
  costPerDay: money,
  costPerMonth: money,
  /** Queued ones count. */
  concurrentRequests: z.int().min(1).max(1_000_000),
  /** Prompt and answer of one request. */
  contextTokens: z.int().min(2).max(16_777_216),
  /** Each answer of a request ends there. */
  answerTokens: z.int().min(1).max(16_777_216)
} as const

export type LimitName = keyof typeof limitFields

export const limitNames = Object.keys(limitFields) as readonly LimitName[]

/** What is set of them; `off` is none, whatever the default for all keys is. */
export type Limits = { readonly [Name in LimitName]?: number | 'off' | undefined }

/** Those that hold. */
export type EffectiveLimits = { readonly [Name in LimitName]?: number }

const offOr = <Schema extends z.ZodType> (schema: Schema) => z.union([z.literal('off'), schema]).optional()

export const limitsSchema = z.strictObject({
  requestsPerMinute: offOr(limitFields.requestsPerMinute),
  tokensPerMinute: offOr(limitFields.tokensPerMinute),
  tokensPerDay: offOr(limitFields.tokensPerDay),
  tokensPerMonth: offOr(limitFields.tokensPerMonth),
  costPerDay: offOr(limitFields.costPerDay),
  costPerMonth: offOr(limitFields.costPerMonth),
  concurrentRequests: offOr(limitFields.concurrentRequests),
  contextTokens: offOr(limitFields.contextTokens),
  answerTokens: offOr(limitFields.answerTokens)
})

/** @param first what is set here beats what comes after it */
export function effectiveLimits (...first: readonly Limits[]): EffectiveLimits {
  const merged: { [Name in LimitName]?: number } = {}
  for (const name of limitNames) {
    const value = first.map((limits) => limits[name]).find((set) => set !== undefined)
    if (value !== undefined && value !== 'off') merged[name] = value
  }
  return merged
}

/** New values; null takes the value away, so that the default holds. */
export type LimitsChange = { readonly [Name in LimitName]?: number | 'off' | null | undefined }

export function changedLimits (limits: Limits, change: LimitsChange): Limits {
  const merged: { [Name in LimitName]?: number | 'off' | undefined } = { ...limits }
  for (const name of limitNames) {
    const value = change[name]
    if (value === null) delete merged[name]
    else if (value !== undefined) merged[name] = value
  }
  return merged
}

/** The name in an API or a database. */
export const snakeName = (name: LimitName): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
