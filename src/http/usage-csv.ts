import type { UsageGroup, UsageReport } from '../access/usage/usage-report.ts'

/** A report as RFC 4180 has it, with the names of the columns first. */
export function toUsageCsv (report: UsageReport, groups: readonly UsageGroup[], hasCosts: boolean): string {
  const header = [...groups, 'requests', 'prompt_tokens', 'cached_tokens', 'completion_tokens', 'total_tokens', ...hasCosts ? ['cost'] : []]
  const lines = report.lines.map(({ values, requests, promptTokens, cachedTokens, completionTokens, cost }) => [
    ...values.map((value) => toCell(value ?? '')), requests, promptTokens, cachedTokens, completionTokens, promptTokens + completionTokens, ...hasCosts ? [toCost(cost) ?? ''] : []
  ])
  return [header, ...lines].map((cells) => `${cells.join(',')}\r\n`).join('')
}

/** Far below what anybody pays; adding up leaves traces of binary fractions. */
export const toCost = (cost: number | null): number | null => cost === null ? null : Math.round(cost * 1e9) / 1e9

/** Spreadsheets take what begins so for a formula, and names are what others chose. */
const formulaPattern = /^[=+\-@\t\r]/

function toCell (text: string): string {
  const harmless = formulaPattern.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
