import { describe, expect, it } from 'vitest'
import { UsageReport } from '../../../src/access/usage/usage-report.ts'
import { toUsageCsv } from '../../../src/http/usage-csv.ts'
import { usageRow } from '../../support/usage-rows.ts'

describe('a report as CSV', () => {
  it('has a line of names, and quotes what must be', () => {
    const report = new UsageReport(['owner', 'key'], [{ model: '*', prompt: 0.1, completion: 0.2 }])
    report.add(usageRow({ id: 'a', owner: 'Smith, "Jo"', keyId: null }))
    report.add(usageRow({ id: 'b', owner: 'plain' }))
    expect(toUsageCsv(report, ['owner', 'key'], true)).toBe(
      'owner,key,requests,prompt_tokens,cached_tokens,completion_tokens,total_tokens,cost\r\n"Smith, ""Jo""",,1,10,4,5,15,0.000002\r\nplain,key_1,1,10,4,5,15,0.000002\r\n')
    expect(toUsageCsv(report, ['owner', 'key'], false)).not.toContain('cost')
  })

  it('has no formulas', () => {
    const report = new UsageReport(['owner'], [])
    for (const owner of ['=1+1', '+1', '-1', '@a', '=a,b']) report.add(usageRow({ id: owner, owner }))
    const cells = toUsageCsv(report, ['owner'], false).split('\r\n').slice(1, -1)
    expect(cells).toHaveLength(5)
    for (const cell of cells) expect(cell).toMatch(/^"?'/)
  })
})
