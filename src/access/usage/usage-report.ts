import type { ModelPrice } from '../../config/config.ts'
import { costOf } from './price-list.ts'
import type { UsageRow } from './usage-row.ts'

/** What rows may be put together by; days and months are of UTC. */
export const usageGroups = ['owner', 'tenant', 'key', 'model', 'adapter', 'endpoint', 'outcome', 'day', 'month'] as const

export type UsageGroup = typeof usageGroups[number]

const valueOf: Readonly<Record<UsageGroup, (row: UsageRow) => string | null>> = {
  owner: ({ owner }) => owner,
  tenant: ({ tenant }) => tenant,
  key: ({ keyId }) => keyId,
  model: ({ model }) => model,
  // A request counts once: what ran with two adapters is a group of its own. No name has the sign that joins them.
  adapter: ({ adapters }) => adapters.length === 0 ? null : [...adapters].sort().join('+'),
  endpoint: ({ endpoint }) => endpoint,
  outcome: ({ outcome }) => outcome,
  day: ({ finishedAt }) => new Date(finishedAt).toISOString().slice(0, 10),
  month: ({ finishedAt }) => new Date(finishedAt).toISOString().slice(0, 7)
}

export interface UsageSum {
  readonly requests: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** Null where a model has no price. */
  readonly cost: number | null
}

export interface UsageLine extends UsageSum {
  /** In the order of the report's groups; null where there is none. */
  readonly values: readonly (string | null)[]
}

type MutableSum = { -readonly [Member in keyof UsageSum]: UsageSum[Member] }

const emptySum = (): MutableSum => ({ requests: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0, cost: 0 })

/** Adds rows up. */
export class UsageReport {
  readonly #groups: readonly UsageGroup[]
  readonly #prices: readonly ModelPrice[]
  readonly #lines = new Map<string, MutableSum & { readonly values: readonly (string | null)[] }>()
  readonly #total = emptySum()

  constructor (groups: readonly UsageGroup[], prices: readonly ModelPrice[]) {
    this.#groups = groups
    this.#prices = prices
  }

  add (row: UsageRow): void {
    const values = this.#groups.map((group) => valueOf[group](row))
    const key = JSON.stringify(values)
    let line = this.#lines.get(key)
    if (line === undefined) this.#lines.set(key, line = { values, ...emptySum() })
    const cost = costOf(row, this.#prices)
    for (const sum of [line, this.#total]) {
      sum.requests += 1
      sum.promptTokens += row.promptTokens
      sum.cachedTokens += row.cachedTokens
      sum.completionTokens += row.completionTokens
      sum.cost = sum.cost === null || cost === null ? null : sum.cost + cost
    }
  }

  get lineCount (): number { return this.#lines.size }

  get total (): UsageSum { return { ...this.#total } }

  /** Sorted by their values, those without one first. */
  get lines (): readonly UsageLine[] {
    return [...this.#lines.values()].sort((a, b) => compare(a.values, b.values))
  }
}

function compare (a: readonly (string | null)[], b: readonly (string | null)[]): number {
  for (const [index, value] of a.entries()) {
    const [left, right] = [value ?? '', b[index] ?? '']
    if (left !== right) return left < right ? -1 : 1
  }
  return 0
}
