import type { BenchReport, BenchRun } from '../bench-run.ts'
import { html, type Content, type Markup } from './markup.ts'
import { latencyTexts } from './measure-text.ts'
import { durationTickText, fixedText, plainText, shortText } from './number-text.ts'
import type { Series } from './series.ts'

/** What was measured, when, on what and how. */
export function headSection (report: BenchReport, series: readonly Series[]): Markup {
  const { machine, runs } = report
  const models = unique(runs.map((run) => run.model_id))
  const rows: [string, Content][] = [
    ['Server', servers(runs)],
    ['Model', names(models)],
    ['Workload', names(unique(runs.map((run) => run.drawbridge.workload)))],
    ['Load', names(loads(series))],
    ['Requests', requests(runs)],
    ['Objectives', objectives(runs)],
    ['Seed', unique(runs.map((run) => String(run.drawbridge.seed))).join(', ')],
    ['Label', names(unique(runs.flatMap(({ label, drawbridge }) => label === null || label === drawbridge.server ? [] : [label])))],
    ['When', dateText(machine.date)],
    ['Machine', `${machine.cpu}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}, ` +
      `${fixedText(machine.memoryBytes / 2 ** 30, 1)} GiB, ${machine.platform}; load average ${plainText(machine.loadAverage)} at the start`],
    ['Software', `Drawbridge ${machine.version}, Node ${machine.node}`]
  ]
  return html`<header><p class="kicker">Load benchmark</p><h1><bdi>${titleOf(report)}</bdi></h1>
<dl class="facts">${rows.filter(([, value]) => value !== '').map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>${report.command !== '' && html`<pre class="command"><code>${report.command}</code></pre>`}</header>`
}

/** The models measured, and the servers where they are compared. */
export function titleOf ({ runs }: BenchReport): string {
  const models = unique(runs.map((run) => run.model_id))
  const servers = unique(runs.map((run) => run.drawbridge.server))
  const model = models.length === 0 ? 'no runs' : `${shortText(models[0] ?? '', 80)}${models.length > 1 ? ` and ${models.length - 1} more` : ''}`
  return servers.length < 2 ? model : `${model}: ${servers.slice(0, 3).map((server) => shortText(server, 40)).join(' and ')}`
}

function servers (runs: readonly BenchRun[]): Content {
  return unique(runs.map(({ drawbridge: { server, url } }) => JSON.stringify([server, url]))).map((pair, index) => {
    const [server, url] = JSON.parse(pair) as [string, string]
    return [index > 0 && html`<br>`, html`<bdi>${server}</bdi>`, url !== '' && url !== server && html` <span class="quiet">at <bdi>${url}</bdi></span>`]
  })
}

/** One load by its description; several of a kind by their values, `1, 2, 4 requests at a time`. */
function loads (series: readonly Series[]): string[] {
  const descriptions = unique(series.map(({ runs }) => runs[0]?.drawbridge.load.description ?? ''))
  const values = (type: Series['loadType']): string => unique(series.flatMap(({ loadType, loadValue }) =>
    loadType === type && loadValue !== null ? [plainText(loadValue)] : [])).join(', ')
  const isNumeric = series.every(({ loadValue, loadText, runs }) => loadValue !== null && loadText !== runs[0]?.drawbridge.load.description)
  if (descriptions.length < 2 || !isNumeric) return descriptions
  return [['closed', 'requests at a time'] as const, ['open', 'requests/s'] as const]
    .flatMap(([type, unit]) => values(type) === '' ? [] : [`${values(type)} ${unit}`])
}

function requests (runs: readonly BenchRun[]): string {
  const counts = unique(runs.map((run) => `${run.num_prompts}`))
  const kind = unique(runs.map((run) => run.drawbridge.is_streaming ? 'streamed' : 'not streamed')).join(' and ')
  if (runs.length === 0) return ''
  const times = runs.length > 1 ? ` in each of ${runs.length} runs` : ''
  return `${counts.length > 3 ? `${counts[0]} to ${counts.at(-1)}` : counts.join(', ')}${times}, ${kind}`
}

function objectives (runs: readonly BenchRun[]): string {
  return unique(runs.map(({ drawbridge }) => Object.entries(drawbridge.objectives)
    .map(([name, ms]) => `${latencyTexts[name as keyof typeof latencyTexts].name} ≤ ${durationTickText(ms)}`).join(', ')))
    .join('; ')
}

function names (texts: readonly string[]): Content {
  const shown = texts.slice(0, 8).map((text, index) => [index > 0 && ' · ', html`<bdi>${text}</bdi>`])
  return shown.length === 0 ? '' : [shown, texts.length > 8 && ` and ${texts.length - 8} more`]
}

/** `2026-11-25 21:38 UTC` for a date in ISO 8601 or as runs have it; else as it is. */
function dateText (date: string): string {
  const iso = date.replace(/^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6Z')
  const time = new Date(iso)
  return Number.isNaN(time.getTime()) ? date : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

function unique (texts: readonly string[]): string[] { return [...new Set(texts)].filter((text) => text !== '') }
