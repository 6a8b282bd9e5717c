import type { Fairness, Share } from '../bench-run.ts'
import { fairnessTexts } from '../fairness-texts.ts'
import { barCell } from './bar-plot.ts'
import { html, type Content, type Markup } from './markup.ts'
import { nameOf } from './marks.ts'
import { fixedText, columnDecimals, durationText, numberText, percentText, shortText } from './number-text.ts'
import type { Series } from './series.ts'
import { medianOf } from './spread.ts'

/** What one model, tenant or kind of request had in one series. */
interface Row {
  readonly series: Series
  readonly shares: readonly Share[]
  /** Tokens per second that its share of the load would give it. */
  readonly target: number | undefined
}

const groupings = [
  { key: 'per_model', fairness: 'models', heading: 'By model', noun: 'Model' },
  { key: 'per_tenant', fairness: 'tenants', heading: 'By tenant', noun: 'Tenant' },
  { key: 'per_kind', fairness: null, heading: 'By kind of request', noun: 'Kind' }
] as const

const nameLimit = 40

/** How models, tenants and kinds of request fared beside each other. */
export function shareSections (series: readonly Series[]): Content {
  return groupings.map((grouping) => shareSection(grouping, series))
}

function shareSection ({ key, fairness, heading, noun }: typeof groupings[number], series: readonly Series[]): Content {
  const all = series.flatMap(({ runs }) => runs.flatMap(({ drawbridge }) => drawbridge[key]))
  const requests = new Map<string, number>()
  for (const share of all) requests.set(share.name, (requests.get(share.name) ?? 0) + share.requests)
  if (requests.size < 2) return null
  const names = [...requests.keys()]
  const busiest = new Set(names.toSorted((a, b) => (requests.get(b) ?? 0) - (requests.get(a) ?? 0)).slice(0, nameLimit))
  const groups = names.filter((name) => busiest.has(name)).map((name) => ({ name, rows: series.flatMap((one) => rowOf(one, key, name)) }))
  const rows = groups.flatMap((group) => group.rows)
  const isWeighted = key !== 'per_kind' && rows.some(({ target }) => target !== undefined)
  return html`<section><h2>${heading}</h2>${fairness !== null && fairnessNote(series, (run) => run.drawbridge.fairness[fairness])}
${shareTable(noun, heading, groups, isWeighted, series.length > 1)}
<p class="note">${isWeighted && 'The tick across a bar of throughput is what its share of the users or requests would give it. '}Bars of TTFT end at the median, their lines
at the 99th percentile.${names.length > nameLimit && ` The ${nameLimit} with most requests of ${names.length} are shown.`}</p></section>`
}

function rowOf (series: Series, key: typeof groupings[number]['key'], name: string): Row[] {
  const shares = series.runs.flatMap(({ drawbridge }) => drawbridge[key].filter((share) => share.name === name))
  if (shares.length === 0) return []
  const all = series.runs.map(({ drawbridge }) => drawbridge[key].reduce((sum, share) => sum + share.output_throughput, 0))
  const total = medianOf(all, (value) => value) ?? 0
  const weight = medianOf(shares, (share) => share.weight) ?? 0
  return [{ series, shares, target: weight > 0 && total > 0 ? weight * total : undefined }]
}

function shareTable (
  noun: string, caption: string, groups: readonly { readonly name: string, readonly rows: readonly Row[] }[], isWeighted: boolean, isCompared: boolean
): Markup {
  const rows = groups.flatMap((group) => group.rows)
  const throughput = (row: Row): number => medianOf(row.shares, (share) => share.output_throughput) ?? 0
  const ttft = (row: Row, statistic: 'p50' | 'p99'): number | null =>
    medianOf(row.shares, ({ latencies }) => latencies.ttft.count > 0 ? latencies.ttft[statistic] : null)
  const decimals = columnDecimals(rows.map(throughput))
  const fullThroughput = Math.max(...rows.map((row) => Math.max(throughput(row), isWeighted ? row.target ?? 0 : 0)))
  const fullTtft = Math.max(...rows.map((row) => ttft(row, 'p99') ?? 0))
  const hasTtft = rows.some((row) => ttft(row, 'p50') !== null)
  const hasGoodput = rows.some(({ shares }) => shares.some(({ goodput }) => goodput !== null))
  const cells = (name: string, row: Row): Content => {
    const { series: { style, label }, shares, target } = row
    const requests = shares.reduce((sum, share) => sum + share.requests, 0)
    const failed = shares.reduce((sum, share) => sum + share.failed, 0)
    const p50 = ttft(row, 'p50')
    const p99 = ttft(row, 'p99')
    const targetText = isWeighted && target !== undefined ? `, ${numberText(target)} by its share of the load` : ''
    const who = isCompared ? `${name}, ${label}` : name
    return html`${isCompared && html`<td>${nameOf(row.series)}</td>`}
<td class="number">${requests.toLocaleString('en-US')}</td>
<td class="number">${failed > 0 ? html`<strong class="alarm">${failed.toLocaleString('en-US')}</strong> ${percentText(failed / requests)}` : '0'}</td>
<td class="number">${fixedText(throughput(row), decimals)}</td>
<td>${barCell({
  value: throughput(row),
  full: fullThroughput,
  colour: style.colour,
  tooltip: `${who}: ${numberText(throughput(row))} tokens/s${targetText}`,
  ...(isWeighted && target !== undefined && { target })
})}</td>
${hasTtft && html`<td class="number">${durationText(p50)}</td><td class="number">${durationText(p99)}</td>
<td>${p50 !== null && p99 !== null && barCell({
  value: p50, reach: p99, full: fullTtft, colour: style.colour, tooltip: `${who}: TTFT p50 ${durationText(p50)}, p99 ${durationText(p99)}`
})}</td>`}
${hasGoodput && html`<td class="number">${numberText(medianOf(shares, ({ goodput }) => goodput))}</td>`}`
  }
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="shares"><caption>${caption}</caption><thead><tr>
<th scope="col">${noun}</th>${isCompared && html`<th scope="col">Run</th>`}<th scope="col" class="number">Requests</th>
<th scope="col" class="number">Failed</th><th scope="col" colspan="2">Output <span>tokens/s</span></th>
${hasTtft && html`<th scope="col" class="number">TTFT p50</th><th scope="col" class="number">p99</th><th></th>`}
${hasGoodput && html`<th scope="col" class="number">Goodput <span>/s</span></th>`}</tr></thead>
${groups.map(({ name, rows }) => html`<tbody>${rows.map((row, index) => html`<tr>${index === 0 &&
  html`<th scope="rowgroup" rowspan="${rows.length}"><bdi>${shortText(name, 100)}</bdi></th>`}${cells(name, row)}</tr>
`)}</tbody>`)}</table></div>`
}

function fairnessNote (series: readonly Series[], fairnessOf: (run: Series['runs'][number]) => Fairness): Content {
  const lines = series.flatMap(({ runs, label }) => {
    const parts = fairnessTexts.flatMap(({ key, text }) => {
      const index = medianOf(runs, (run) => fairnessOf(run)[key])
      return index === null ? [] : [html`<b>${fixedText(index, 3)}</b> of ${text}`]
    })
    if (parts.length === 0) return []
    return [html`<li>${series.length > 1 && html`<bdi>${label}</bdi>: `}${parts.map((part, index) => [index > 0 && ', ', part])}</li>`]
  })
  return lines.length > 0 && html`<div class="fairness"><p>Jain’s index, 1 when all fare alike:</p><ul>${lines}</ul></div>`
}
