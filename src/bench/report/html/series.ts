import type { BenchRun } from '../bench-run.ts'
import { plainText, shortText } from './number-text.ts'

/** How a series looks: a CSS colour, an SVG dash pattern ('' for a whole line) and the shape of its marks. */
export interface SeriesStyle {
  readonly colour: string
  readonly dash: string
  readonly marker: typeof markers[number]
}

/** The runs of one server under one load: its repetitions. */
export interface Series {
  readonly server: string
  /** In the order in which servers appear. */
  readonly serverIndex: number
  readonly runs: readonly BenchRun[]
  readonly loadType: 'closed' | 'open'
  /** Requests at a time, or per second; null when the load is no number. */
  readonly loadValue: number | null
  /** `8 at a time`, `4 requests/s`, or the load's description. */
  readonly loadText: string
  /** What sets it apart from the other series. */
  readonly label: string
  readonly style: SeriesStyle
}

export const markers = ['circle', 'square', 'triangle', 'diamond'] as const

const dashes = ['', '7 3', '2 2.5', '9 3 2 3']

/** By server in order of appearance, then by load. */
export function groupIntoSeries (runs: readonly BenchRun[]): Series[] {
  const groups = new Map<string, BenchRun[]>()
  for (const run of runs) {
    const key = JSON.stringify([serverOf(run), run.drawbridge.load, run.max_concurrency, run.request_rate])
    const group = groups.get(key)
    if (group) group.push(run)
    else groups.set(key, [run])
  }
  const plain = [...groups.values()].flatMap((group) => group[0] ? [{ first: group[0], runs: group }] : [])
  const servers = [...new Set(runs.map(serverOf))]
  const isShortUnique = new Set(plain.map(({ first }) => `${serverOf(first)}\n${shortLoad(first)}`)).size === plain.length
  const described = plain.map(({ first, runs }) => ({
    server: serverOf(first),
    runs,
    loadType: first.drawbridge.load.type,
    loadValue: loadValueOf(first),
    loadText: isShortUnique ? shortLoad(first) : first.drawbridge.load.description
  }))
  const loads = [...new Set(described.map(({ loadText }) => loadText))]
  return servers.flatMap((server, serverIndex) => {
    const own = described.filter((series) => series.server === server)
    own.sort((a, b) => (a.loadValue ?? Infinity) < (b.loadValue ?? Infinity) ? -1 : a.loadValue === b.loadValue ? 0 : 1)
    return own.map((series, index) => ({
      ...series,
      serverIndex,
      label: labelOf(series, servers.length > 1, loads.length > 1),
      style: styleOf(serverIndex, servers.length, index, own.length)
    }))
  })
}

/** So many at most: from every server equally many, spread over its loads, the first and the last among them. */
export function chooseSeries (series: readonly Series[], limit: number): Series[] {
  if (series.length <= limit) return [...series]
  const servers = [...new Set(series.map(({ server }) => server))].slice(0, limit)
  const each = Math.floor(limit / servers.length)
  return servers.flatMap((server) => {
    const own = series.filter((one) => one.server === server)
    if (own.length <= each) return own
    return Array.from({ length: each }, (_, index) => own[each === 1 ? own.length - 1 : Math.round(index * (own.length - 1) / (each - 1))])
      .filter((one) => one !== undefined)
  })
}

/** The series' label, and the number of the repetition where there are several. */
export function runLabel (series: Series, run: BenchRun): string {
  if (series.runs.length === 1) return series.label
  return `${series.label}, run ${series.runs.indexOf(run) + 1}`
}

/** For marks that belong to a server rather than to one of its loads. */
export function serverStyle (serverIndex: number): SeriesStyle {
  return {
    colour: `var(--hue-${serverIndex % 6})`,
    dash: dashes[serverIndex % dashes.length] ?? '',
    marker: markers[serverIndex % markers.length] ?? 'circle'
  }
}

function serverOf (run: BenchRun): string {
  return run.drawbridge.server || run.drawbridge.url || 'server'
}

function loadValueOf (run: BenchRun): number | null {
  if (run.drawbridge.load.type === 'closed') return run.max_concurrency
  return typeof run.request_rate === 'number' ? run.request_rate : null
}

function shortLoad (run: BenchRun): string {
  const value = loadValueOf(run)
  if (value === null) return run.drawbridge.load.description
  return run.drawbridge.load.type === 'closed' ? `${plainText(value)} at a time` : `${plainText(value)} ${value === 1 ? 'request' : 'requests'}/s`
}

function labelOf (series: { server: string, loadText: string }, hasServers: boolean, hasLoads: boolean): string {
  const server = shortText(series.server, 40)
  if (hasServers && hasLoads) return `${server}, ${series.loadText}`
  return hasServers ? server : series.loadText
}

/** Servers differ in hue and dash; the loads of one server go from a light to a strong shade, since they have an order. */
function styleOf (serverIndex: number, serverCount: number, loadIndex: number, loadCount: number): SeriesStyle {
  const base = serverStyle(serverIndex)
  if (loadCount === 1) return base
  const share = loadIndex / (loadCount - 1)
  const marker = markers[loadIndex % markers.length] ?? 'circle'
  if (serverCount > 1) {
    const hue = serverIndex % 6
    return { ...base, marker, colour: `color-mix(in oklab, var(--hue-${hue}) ${Math.round(40 + 60 * share)}%, var(--paper))` }
  }
  const [from, to] = share < 0.5 ? ['low', 'middle'] : ['middle', 'high']
  const percent = Math.round((share < 0.5 ? share : share - 0.5) * 200)
  return { dash: '', marker, colour: `color-mix(in oklab, var(--ramp-${to}) ${percent}%, var(--ramp-${from}))` }
}
