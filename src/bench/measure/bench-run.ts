import type { BenchDetails, BenchRun, ErrorCount, Latencies, LatencyName, Share } from '../report/bench-run.ts'
import { fairnessOf } from './fairness.ts'
import { summarizeLatencies } from './latency-summary.ts'
import { hasObjectives, isGood, type Objectives } from './objectives.ts'
import { e2elOf, hasCompleted, itlsOf, tpotOf, ttftOf, type RequestRecord } from './request-record.ts'
import { steadyPart } from './steady.ts'
import { timelineOf } from './timeline.ts'

/** A gap longer than this is a stall. */
const stallMs = 1000

/** What of a run is known before it begins, and what was watched beside its requests. */
export interface RunFacts extends Pick<BenchDetails,
  'server' | 'url' | 'repetition' | 'load' | 'workload' | 'seed' | 'text_seed' | 'asks_anew' | 'template_tokens' | 'was_interrupted' | 'never_sent' | 'cut_short' | 'is_streaming' | 'objectives' | 'generator' | 'server_metrics'> {
  /** UTC. */
  readonly date: Date
  readonly endpoint: 'chat' | 'completions'
  readonly label: string | null
  readonly modelId: string
  readonly requestRate: number
  readonly burstiness: number
  readonly maxConcurrency: number | null
  readonly maxRunning: number
  readonly lastSentAt: number
  readonly models: readonly string[]
  /** Empty without tenants. */
  readonly tenants: readonly TenantFacts[]
  readonly keepsTexts: boolean
}

export interface TenantFacts {
  readonly name: string
  /** How many users of a closed loop are its own; null in open loops, where each request is somebody's by chance. */
  readonly users: number | null
}

/** Makes the result of a run out of its requests. Latencies are of completed requests alone; failed ones are counted and shown. */
export function summarizeRun (records: readonly RequestRecord[], facts: RunFacts): BenchRun {
  const { objectives } = facts
  const completed = records.filter(hasCompleted)
  const startMs = records.reduce((least, { sentAt }) => Math.min(least, sentAt), Infinity)
  const endMs = records.reduce((most, { endedAt }) => Math.max(most, endedAt), 0)
  const seconds = records.length === 0 ? 0 : Math.max(1e-3, (endMs - startMs) / 1000)
  const perSecond = (count: number): number => seconds === 0 ? 0 : count / seconds
  const inputTokens = sum(completed.map((record) => record.inputTokens ?? 0))
  const outputTokens = sum(completed.map((record) => record.outputTokens ?? 0))
  const good = hasObjectives(objectives) ? records.filter((record) => isGood(record, objectives)).length : null
  const latencies = latenciesOf(completed)
  const gaps = records.flatMap(itlsOf)
  const timeline = records.length === 0 ? [] : timelineOf(records, startMs, endMs)
  const share = (name: string, nameOf: (record: RequestRecord) => string | null, weight?: number): Share => {
    const own = records.filter((record) => nameOf(record) === name)
    return shareOf(name, weight ?? own.length / Math.max(1, records.length), own, seconds, objectives)
  }
  const users = facts.tenants.every((tenant) => tenant.users !== null) ? sum(facts.tenants.map((tenant) => tenant.users ?? 0)) : null
  const perModel = facts.models.map((name) => share(name, ({ model }) => model))
  const perTenant = facts.tenants.map(({ name, users: own }) => share(name, ({ tenant }) => tenant, users === null ? undefined : (own ?? 0) / users))
  const perKind = [...new Set(records.map(({ kind }) => kind))].sort().map((name) => share(name, ({ kind }) => kind))

  return {
    date: facts.date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-'),
    endpoint_type: facts.endpoint === 'chat' ? 'openai-chat' : 'openai',
    backend: facts.endpoint === 'chat' ? 'openai-chat' : 'openai',
    label: facts.label,
    model_id: facts.modelId,
    tokenizer_id: facts.modelId,
    num_prompts: records.length,
    request_rate: facts.requestRate === Infinity ? 'inf' : facts.requestRate,
    burstiness: facts.burstiness === Infinity ? 'inf' : facts.burstiness,
    max_concurrency: facts.maxConcurrency,
    duration: seconds,
    completed: completed.length,
    failed: records.length - completed.length,
    total_input_tokens: inputTokens,
    total_output_tokens: outputTokens,
    request_throughput: perSecond(completed.length),
    request_goodput: good === null ? null : perSecond(good),
    output_throughput: perSecond(outputTokens),
    total_token_throughput: perSecond(inputTokens + outputTokens),
    max_output_tokens_per_s: timeline.reduce((most, point) => Math.max(most, point.output_tokens), 0),
    max_concurrent_requests: facts.maxRunning,
    ...vllmStatistics(latencies),
    input_lens: records.map((record) => record.inputTokens ?? 0),
    output_lens: records.map((record) => record.outputTokens ?? 0),
    ttfts: records.map((record) => secondsOf(ttftOf(record) ?? 0)),
    itls: records.map((record) => itlsOf(record).map(secondsOf)),
    latencies: records.map((record) => secondsOf(e2elOf(record))),
    start_times: records.map(({ sentAt }) => secondsOf(sentAt)),
    // Of the rounded moments, so that these can be got back.
    queue_times: records.map(({ scheduledAt, sentAt }) => (microsecondsOf(sentAt) - microsecondsOf(scheduledAt)) / 1e6),
    generated_texts: facts.keepsTexts ? records.map(({ text }) => text) : [],
    errors: records.map(({ failure }) => failure === null ? '' : `${failure.kind}: ${failure.message}`),
    drawbridge: {
      server: facts.server,
      url: facts.url,
      repetition: facts.repetition,
      load: facts.load,
      workload: facts.workload,
      seed: facts.seed,
      text_seed: facts.text_seed,
      asks_anew: facts.asks_anew,
      template_tokens: facts.template_tokens,
      was_interrupted: facts.was_interrupted,
      never_sent: facts.never_sent,
      cut_short: facts.cut_short,
      is_streaming: facts.is_streaming,
      objectives,
      good_share: good === null ? null : records.length === 0 ? 0 : good / records.length,
      latencies,
      steady: steadyPart(records, facts.load.type === 'open', facts.maxRunning, facts.lastSentAt),
      errors: countErrors(records),
      stalls: { count: gaps.filter((gap) => gap > stallMs).length, longest_ms: gaps.reduce((most, gap) => Math.max(most, gap), 0) },
      requests_without_usage: completed.filter((record) => record.outputTokens === null).length,
      cached_tokens: sum(completed.map((record) => record.cachedTokens)),
      per_model: perModel,
      per_tenant: perTenant,
      per_kind: perKind,
      fairness: { models: fairnessOf(perModel, false), tenants: fairnessOf(perTenant, users !== null) },
      timeline,
      generator: facts.generator,
      server_metrics: facts.server_metrics
    }
  }
}

/** To the microsecond: more digits say nothing, and make files twice as large. */
const microsecondsOf = (ms: number): number => Math.round(ms * 1000)
const secondsOf = (ms: number): number => microsecondsOf(ms) / 1e6

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

const present = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null)

/** @param completed requests that completed. */
function latenciesOf (completed: readonly RequestRecord[]): Latencies {
  return {
    ttft: summarizeLatencies(present(completed.map(ttftOf))),
    tpot: summarizeLatencies(present(completed.map(tpotOf))),
    itl: summarizeLatencies(completed.flatMap(itlsOf)),
    e2el: summarizeLatencies(completed.map(e2elOf))
  }
}

function shareOf (name: string, weight: number, records: readonly RequestRecord[], seconds: number, objectives: Objectives): Share {
  const completed = records.filter(hasCompleted)
  const outputTokens = sum(completed.map((record) => record.outputTokens ?? 0))
  return {
    name,
    requests: records.length,
    completed: completed.length,
    failed: records.length - completed.length,
    input_tokens: sum(completed.map((record) => record.inputTokens ?? 0)),
    output_tokens: outputTokens,
    output_throughput: seconds === 0 ? 0 : outputTokens / seconds,
    weight,
    goodput: hasObjectives(objectives) && seconds > 0 ? records.filter((record) => isGood(record, objectives)).length / seconds : null,
    latencies: latenciesOf(completed)
  }
}

/** By kind, the most frequent first. */
function countErrors (records: readonly RequestRecord[]): readonly ErrorCount[] {
  const counts = new Map<string, { kind: string, count: number, example: string }>()
  for (const { failure } of records) {
    if (failure === null) continue
    const entry = counts.get(failure.kind)
    if (entry === undefined) counts.set(failure.kind, { kind: failure.kind, count: 1, example: failure.message })
    else entry.count++
  }
  return [...counts.values()].sort((a, b) => b.count - a.count)
}

type VllmStatistics = Pick<BenchRun, `${'mean' | 'median' | 'std' | 'p50' | 'p90' | 'p95' | 'p99'}_${LatencyName}_ms`>

function vllmStatistics (latencies: Latencies): VllmStatistics {
  const entries = Object.entries(latencies).flatMap(([name, summary]) =>
    (['mean', 'median', 'std', 'p50', 'p90', 'p95', 'p99'] as const).map((statistic) => [`${statistic}_${name}_ms`, summary[statistic]]))
  return Object.fromEntries(entries) as VllmStatistics
}
