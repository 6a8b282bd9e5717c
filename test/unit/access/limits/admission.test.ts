import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Ask, admit, ratesOf, type SubjectState } from '../../../../src/access/limits/admission.ts'
import type { EffectiveLimits } from '../../../../src/domain/limits.ts'

const now = Date.parse('2026-11-26T08:00:00Z') * 1000

const fresh = (): SubjectState => ({
  requestsFullAt: 0, tokensFullAt: 0, running: 0, reservedTokens: 0, reservedCost: 0, spentToday: { tokens: 0, cost: 0 }, spentThisMonth: { tokens: 0, cost: 0 }
})

function setUp (limits: Readonly<Record<string, EffectiveLimits>>, given: Readonly<Record<string, Partial<SubjectState>>> = {}) {
  const states = new Map(Object.keys(limits).map((subject) => [subject, { ...fresh(), ...given[subject] }]))
  const subjects = Object.entries(limits).map(([subject, own]) => ({ subject, limits: own }))
  const stateOf = (subject: string): SubjectState => states.get(subject)!
  const ask = (wish: Partial<Ask> = {}, at = now) => admit({ id: 'run', subjects, tokens: 10, cost: 0, isBatch: false, ...wish }, stateOf, at)
  return { ask, stateOf, rates: () => ratesOf(subjects, stateOf, now) }
}

describe('admission', () => {
  it('takes from every subject, or from none', () => {
    const { ask, stateOf, rates } = setUp({ 'key:a': { requestsPerMinute: 2 }, 'owner:anna': { requestsPerMinute: 3, tokensPerMinute: 100, concurrentRequests: 2 } })
    expect([ask(), ask()]).toEqual([null, null])
    const before = { key: { ...stateOf('key:a') }, owner: { ...stateOf('owner:anna') } }
    expect(ask()).toMatchObject({ limit: 'requestsPerMinute', subject: 'key:a', most: 2, used: 2, retryAfterMs: 30_000 })
    expect({ key: stateOf('key:a'), owner: stateOf('owner:anna') }).toEqual(before)
    expect(rates()).toEqual({ requests: { limit: 2, remaining: 0, resetMs: 60_000 }, tokens: { limit: 100, remaining: 80, resetMs: 12_000 } })
  })

  it('names the limit that takes longest, and budgets before all others', () => {
    const { ask } = setUp({ 'key:a': { requestsPerMinute: 60, tokensPerMinute: 10 } }, { 'key:a': { requestsFullAt: now + 60_000_000, tokensFullAt: now + 60_000_000 } })
    expect(ask()).toMatchObject({ limit: 'tokensPerMinute', retryAfterMs: 60_000, asked: 10 })
    const budget = setUp({ 'key:a': { requestsPerMinute: 60, tokensPerDay: 100 } }, { 'key:a': { requestsFullAt: now + 60_000_000, spentToday: { tokens: 95, cost: 0 } } })
    expect(budget.ask()).toEqual({ limit: 'tokensPerDay', subject: 'key:a', most: 100, used: 95, asked: 10, retryAfterMs: null, resetsAt: Date.parse('2026-11-27T00:00:00Z') })
    expect(budget.ask({ tokens: 5 })).toMatchObject({ limit: 'requestsPerMinute' })
  })

  it('has budgets of days and months, in tokens and money', () => {
    const spent = { spentToday: { tokens: 50, cost: 1 }, spentThisMonth: { tokens: 900, cost: 20 } }
    expect(setUp({ a: { tokensPerMonth: 905 } }, { a: spent }).ask()).toMatchObject({ limit: 'tokensPerMonth', used: 900, resetsAt: Date.parse('2026-12-01T00:00:00Z') })
    expect(setUp({ a: { tokensPerMonth: 910, tokensPerDay: 60 } }, { a: spent }).ask()).toBeNull()
    expect(setUp({ a: { costPerDay: 1.5 } }, { a: spent }).ask({ cost: 0.6 })).toMatchObject({ limit: 'costPerDay', used: 1, asked: 0.6 })
    expect(setUp({ a: { costPerMonth: 20 } }, { a: spent }).ask()).toMatchObject({ limit: 'costPerMonth' })
  })

  it('has whoever stands behind what others hold come back', () => {
    const { ask } = setUp({ a: { tokensPerDay: 100 } }, { a: { reservedTokens: 95, running: 1 } })
    expect(ask()).toMatchObject({ limit: 'tokensPerDay', used: 95, retryAfterMs: 1000 })
    const busy = setUp({ a: { concurrentRequests: 1 } })
    expect([busy.ask(), busy.ask()]).toMatchObject([null, { limit: 'concurrentRequests', used: 1, retryAfterMs: 1000 }])
  })

  it('lets batch work pass minutes and what else runs, but no budget', () => {
    const { ask, stateOf } = setUp({ a: { requestsPerMinute: 1, tokensPerMinute: 5, concurrentRequests: 1, tokensPerDay: 25 } }, { a: { running: 1, requestsFullAt: now + 60_000_000 } })
    expect([ask({ isBatch: true }), ask({ isBatch: true })]).toEqual([null, null])
    expect(stateOf('a')).toMatchObject({ running: 1, tokensFullAt: 0, requestsFullAt: now + 60_000_000, reservedTokens: 20 })
    expect(ask({ isBatch: true })).toMatchObject({ limit: 'tokensPerDay' })
  })

  it('never lets budgets be overdrawn, nor more run at once, whatever comes and ends in whatever order', () => {
    const events = fc.array(fc.oneof(fc.record({ tokens: fc.integer({ min: 1, max: 400 }) }), fc.record({ ends: fc.nat() })), { maxLength: 60 })
    fc.assert(fc.property(events, (all) => {
      const { ask, stateOf } = setUp({ a: { tokensPerDay: 1000, concurrentRequests: 3 } })
      const running: number[] = []
      let spent = 0
      for (const event of all) {
        const state = stateOf('a')
        if ('tokens' in event) {
          if (ask({ tokens: event.tokens }) === null) running.push(event.tokens)
        } else if (running.length > 0) {
          const [tokens = 0] = running.splice(event.ends % running.length, 1)
          spent += tokens
          Object.assign(state, { running: state.running - 1, reservedTokens: state.reservedTokens - tokens, spentToday: { tokens: spent, cost: 0 } })
        }
        if (running.length > 3 || spent + running.reduce((sum, tokens) => sum + tokens, 0) > 1000) return false
      }
      return true
    }))
  })
})
