import type { RequestRecord } from '../../../src/bench/measure/request-record.ts'
import { summarizeRun, type RunFacts } from '../../../src/bench/measure/bench-run.ts'
import type { BenchRun } from '../../../src/bench/report/bench-run.ts'

/** A request sent at 0 whose first token comes after 100 ms, the others 20 ms apart. */
export function recordOf (fields: Partial<RequestRecord> & { readonly tokens?: number, readonly ttftMs?: number, readonly gapMs?: number } = {}): RequestRecord {
  const { tokens = 3, ttftMs = 100, gapMs = 20, ...rest } = fields
  const sentAt = rest.sentAt ?? 0
  const outputTimes = Array.from({ length: tokens }, (_, index) => sentAt + ttftMs + index * gapMs)
  return {
    model: 'm',
    tenant: null,
    kind: 'chat',
    scheduledAt: sentAt,
    sentAt,
    endedAt: outputTimes.at(-1) ?? sentAt,
    outputTimes,
    inputTokens: 10,
    outputTokens: tokens,
    cachedTokens: 0,
    text: '',
    choiceCount: 1,
    failure: null,
    ...rest
  }
}

export const factsOf = (fields: Partial<RunFacts> = {}): RunFacts => ({
  date: new Date('2026-11-25T21:38:04Z'),
  endpoint: 'chat',
  label: 'a',
  modelId: 'm',
  server: 'a',
  url: 'http://a/v1',
  repetition: 1,
  load: { type: 'closed', description: 'concurrency 1' },
  workload: 'w',
  seed: 1,
  text_seed: 1,
  asks_anew: true,
  template_tokens: 0,
  was_interrupted: false,
  never_sent: 0,
  cut_short: 0,
  is_streaming: true,
  objectives: {},
  generator: { cpu_seconds: 0, cores: 0, chunks_per_second: 0, loop_delay_p99_ms: 0, lateness_p99_ms: null, warnings: [] },
  server_metrics: null,
  requestRate: Infinity,
  burstiness: 1,
  maxConcurrency: 1,
  maxRunning: 1,
  lastSentAt: 0,
  models: ['m'],
  tenants: [],
  keepsTexts: false,
  ...fields
})

export const runOf = (records: readonly RequestRecord[], facts: Partial<RunFacts> = {}): BenchRun => summarizeRun(records, factsOf(facts))
