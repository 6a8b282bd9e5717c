import type { LatencyName } from '../bench-run.ts'
import { durationText, numberText } from './number-text.ts'

export const latencyTexts: Readonly<Record<LatencyName, { readonly name: string, readonly longName: string }>> = {
  ttft: { name: 'TTFT', longName: 'time to first token' },
  tpot: { name: 'TPOT', longName: 'time per output token, of each request' },
  itl: { name: 'ITL', longName: 'gaps between outputs, of all streams' },
  e2el: { name: 'E2E', longName: 'end-to-end latency' }
}

const measureNames: Readonly<Record<string, string>> = {
  output_throughput: 'Output tokens/s',
  total_token_throughput: 'Tokens/s in and out',
  request_throughput: 'Requests/s',
  request_goodput: 'Goodput, requests/s',
  steady_output_throughput: 'Output tokens/s, steady part',
  steady_request_throughput: 'Requests/s, steady part',
  good_share: 'Good share',
  duration: 'Duration, s',
  completed: 'Completed requests',
  failed: 'Failed requests'
}

/** Of a key such as `output_throughput` or `p99_ttft_ms`; keys without a name of their own keep their words. */
export function measureName (measure: string): string {
  const [, statistic, latency] = /^([a-z0-9]+)_(ttft|tpot|itl|e2el)(?:_ms)?$/.exec(measure) ?? []
  if (statistic !== undefined && latency !== undefined) return `${latencyTexts[latency as LatencyName].name} ${statistic}`
  return Object.hasOwn(measureNames, measure) ? measureNames[measure] ?? measure : measure.replaceAll('_', ' ')
}

/** Keys that end in `_ms` are times. */
export function measureValueText (measure: string, value: number): string {
  return measure.endsWith('_ms') ? durationText(value) : numberText(value)
}
