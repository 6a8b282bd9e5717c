import type { SubjectState } from '../access/limits/admission.ts'
import { levelOf } from '../access/limits/bucket.ts'
import type { StatesAt } from '../access/limits/limit-store.ts'
import { endOfPeriod } from '../access/limits/periods.ts'
import type { SubjectLimits } from '../access/limits/subjects.ts'
import { type LimitName, limitNames, snakeName } from '../domain/limits.ts'

/** Whose limits they are. */
export interface LimitedKey {
  readonly owner: string
  readonly keyId: string | null
  readonly limits: readonly SubjectLimits[]
}

interface Left {
  readonly used: number | null
  readonly remaining: number | null
  /** Milliseconds since 1970. */
  readonly resetsAt: number | null
}

/** What is left of each limit of a key, for people. */
export const toLimitStates = ({ owner, keyId, limits: subjects }: LimitedKey, { states, now }: StatesAt) => ({
  object: 'limits' as const,
  owner,
  key: keyId,
  data: subjects.flatMap(({ subject, limits }) => limitNames.flatMap((name) => {
    const [limit, state] = [limits[name], states.get(subject)]
    if (limit === undefined || state === undefined) return []
    const { used, remaining, resetsAt } = leftOf(name, limit, state, now)
    return [{ of: subject.startsWith('key:') ? 'key' as const : 'owner' as const, name: snakeName(name), limit, used, remaining, resets_at: resetsAt === null ? null : Math.ceil(resetsAt / 1000) }]
  }))
})

function leftOf (name: LimitName, limit: number, state: SubjectState, now: number): Left {
  const bucket = (fullAt: number): Left => {
    const remaining = levelOf(fullAt, now, limit)
    return { used: limit - remaining, remaining, resetsAt: Math.max(fullAt, now) / 1000 }
  }
  const budget = (spent: number, reserved: number, period: 'day' | 'month'): Left =>
    ({ used: spent, remaining: Math.max(0, limit - spent - reserved), resetsAt: endOfPeriod(period, now) })
  switch (name) {
    case 'requestsPerMinute': return bucket(state.requestsFullAt)
    case 'tokensPerMinute': return bucket(state.tokensFullAt)
    case 'tokensPerDay': return budget(state.spentToday.tokens, state.reservedTokens, 'day')
    case 'tokensPerMonth': return budget(state.spentThisMonth.tokens, state.reservedTokens, 'month')
    case 'costPerDay': return budget(state.spentToday.cost, state.reservedCost, 'day')
    case 'costPerMonth': return budget(state.spentThisMonth.cost, state.reservedCost, 'month')
    case 'concurrentRequests': return { used: state.running, remaining: Math.max(0, limit - state.running), resetsAt: null }
    case 'contextTokens':
    case 'answerTokens': return { used: null, remaining: null, resetsAt: null }
  }
}
