import type { ServerMetrics } from '../report/bench-run.ts'

/** Counters of one moment, by the name of the metric, summed over labels. */
export type MetricsSample = ReadonlyMap<string, number>

/** Reads the Prometheus text format; histograms' buckets are left out. */
export function parseMetrics (text: string): MetricsSample {
  const sums = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{.*\})? ([^ ]+)(?: \d+)?$/.exec(line.trim())
    const name = match?.[1]
    if (name === undefined || name.endsWith('_bucket')) continue
    const value = Number(match?.[2])
    if (Number.isFinite(value)) sums.set(name, (sums.get(name) ?? 0) + value)
  }
  return sums
}

/** What happened between two samples; null when the server has no such metrics. */
export function serverMetricsBetween (before: MetricsSample | null, after: MetricsSample | null): ServerMetrics | null {
  if (before === null || after === null) return null
  const grown = (...names: readonly string[]): number | null => {
    const name = names.find((candidate) => after.has(candidate))
    return name === undefined ? null : (after.get(name) ?? 0) - (before.get(name) ?? 0)
  }
  const share = (part: number | null, whole: number | null): number | null =>
    part === null || whole === null || whole <= 0 ? null : part / whole
  const queueSeconds = share(grown('vllm:request_queue_time_seconds_sum'), grown('vllm:request_queue_time_seconds_count'))
  const hitRate = share(grown('vllm:prefix_cache_hits_total', 'vllm:prefix_cache_hits'), grown('vllm:prefix_cache_queries_total', 'vllm:prefix_cache_queries'))
  if (queueSeconds === null && hitRate === null) return null
  return { mean_queue_ms: queueSeconds === null ? null : queueSeconds * 1000, prefix_hit_rate: hitRate }
}

/** Asks `/metrics` beside the API; null when there is none. */
export async function sampleMetrics (apiUrl: URL, headers: Readonly<Record<string, string>>): Promise<MetricsSample | null> {
  try {
    const response = await fetch(new URL('/metrics', apiUrl), { headers, signal: AbortSignal.timeout(5000) })
    const text = await response.text()
    return response.ok ? parseMetrics(text) : null
  } catch {
    return null
  }
}
