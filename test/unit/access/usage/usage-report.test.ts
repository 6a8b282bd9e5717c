import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costOf } from '../../../../src/access/usage/price-list.ts'
import { UsageReport, usageGroups } from '../../../../src/access/usage/usage-report.ts'
import { usageRow } from '../../../support/usage-rows.ts'

const rows = fc.array(fc.record({
  owner: fc.constantFrom('anna', 'ben', '__proto__'),
  model: fc.constantFrom('m', 'n'),
  keyId: fc.constantFrom(null, 'k'),
  adapters: fc.subarray(['x', 'y']),
  finishedAt: fc.integer({ min: 1_795_600_000_000, max: 1_796_000_000_000 }),
  promptTokens: fc.nat(100_000),
  completionTokens: fc.nat(100_000)
}).map((given) => usageRow({ id: 'a', cachedTokens: Math.floor(given.promptTokens / 3), ...given })), { maxLength: 60 })

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

describe('a report', () => {
  it('has every row in one line, whatever it is grouped by and in whatever order rows come', () => {
    fc.assert(fc.property(rows, fc.subarray([...usageGroups]), (list, groups) => {
      const report = new UsageReport(groups, [])
      for (const row of list) report.add(row)
      const { lines, total } = report
      for (const member of ['requests', 'promptTokens', 'cachedTokens', 'completionTokens'] as const) {
        expect(sum(lines.map((line) => line[member]))).toBe(total[member])
      }
      expect(total).toMatchObject({ requests: list.length, promptTokens: sum(list.map(({ promptTokens }) => promptTokens)) })
      expect(new Set(lines.map(({ values }) => JSON.stringify(values))).size).toBe(lines.length)

      const backwards = new UsageReport(groups, [])
      for (const row of [...list].reverse()) backwards.add(row)
      expect(backwards.lines).toEqual(lines)
    }))
  })

  it('names its groups, and sorts by them', () => {
    const report = new UsageReport(['day', 'month', 'key', 'adapter'], [])
    report.add(usageRow({ id: 'a', finishedAt: Date.parse('2026-11-30T23:59:59.999Z'), adapters: ['y', 'x'] }))
    report.add(usageRow({ id: 'b', finishedAt: Date.parse('2026-11-30T00:00:00Z'), adapters: ['x', 'y'] }))
    report.add(usageRow({ id: 'c', finishedAt: Date.parse('2026-12-01T00:00:00Z'), keyId: null }))
    report.add(usageRow({ id: 'd', finishedAt: Date.parse('2026-11-30T00:00:00Z') }))
    expect(report.lines.map(({ values, requests }) => [...values, requests])).toEqual([
      ['2026-11-30', '2026-11', 'key_1', null, 1], ['2026-11-30', '2026-11', 'key_1', 'x+y', 2], ['2026-12-01', '2026-12', null, null, 1]
    ])
  })

  it('has a cost where all its models have prices', () => {
    const report = new UsageReport(['owner'], [{ model: 'm', prompt: 2, completion: 4 }])
    report.add(usageRow({ id: 'a', promptTokens: 1_000_000, cachedTokens: 0, completionTokens: 500_000 }))
    report.add(usageRow({ id: 'b', owner: 'ben', model: 'other' }))
    expect(report.lines.map(({ cost }) => cost)).toEqual([4, null])
    expect(report.total.cost).toBeNull()
  })
})

describe('the cost of a request', () => {
  const row = usageRow({ id: 'a', model: 'llama-8b', promptTokens: 1000, cachedTokens: 400, completionTokens: 10 })

  it('is by the first price that fits, cached tokens apart', () => {
    const prices = [{ model: 'llama-*', prompt: 1000, cached: 100, completion: 5000 }, { model: '*', prompt: 0, completion: 0 }]
    expect(costOf(row, prices)).toBeCloseTo(0.6 + 0.04 + 0.05, 12)
    expect(costOf({ ...row, model: 'other' }, prices)).toBe(0)
    expect(costOf({ ...row, model: 'other' }, prices.slice(0, 1))).toBeNull()
    expect(costOf(row, [{ model: '*', prompt: 1000, completion: 5000 }])).toBeCloseTo(1.05, 12)
  })

  it('is nothing where the server failed, and what was used where the client left', () => {
    const prices = [{ model: '*', prompt: 1000, completion: 0 }]
    expect(costOf({ ...row, outcome: 'error' }, prices)).toBe(0)
    expect(costOf({ ...row, outcome: 'aborted' }, prices)).toBeCloseTo(1, 12)
  })
})
