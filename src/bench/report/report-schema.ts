import { z } from 'zod'
import type { BenchReport } from './bench-run.ts'
import { latencyNames } from './bench-run.ts'

const isListOf = (isEntry: (entry: unknown) => boolean) => (value: unknown): boolean => Array.isArray(value) && value.every(isEntry)
const isNumber = (value: unknown): boolean => typeof value === 'number'

/** Lists may have millions of entries, so that they are looked at but not copied. */
const numbers = z.custom<readonly number[]>(isListOf(isNumber), 'must be a list of numbers')
const texts = z.custom<readonly string[]>(isListOf((entry) => typeof entry === 'string'), 'must be a list of texts')
const gaps = z.custom<readonly (readonly number[])[]>(isListOf(isListOf(isNumber)), 'must be a list of lists of numbers')

const numeric = z.number()
const numericOrNull = numeric.nullable()

const latencySummary = z.object({
  count: numeric, mean: numeric, median: numeric, std: numeric, p50: numeric, p90: numeric, p95: numeric, p99: numeric, max: numeric
})

const latencies = z.object({ ttft: latencySummary, tpot: latencySummary, itl: latencySummary, e2el: latencySummary })

const share = z.object({
  name: z.string(),
  requests: numeric,
  completed: numeric,
  failed: numeric,
  input_tokens: numeric,
  output_tokens: numeric,
  output_throughput: numeric,
  weight: numeric,
  goodput: numericOrNull,
  latencies
})

const fairness = z.object({ output_tokens: numericOrNull, completed: numericOrNull, ttft: numericOrNull })

const details = z.object({
  server: z.string(),
  url: z.string(),
  repetition: numeric,
  load: z.object({ type: z.enum(['closed', 'open']), description: z.string() }),
  workload: z.string(),
  seed: numeric,
  text_seed: numeric,
  asks_anew: z.boolean(),
  template_tokens: numeric,
  was_interrupted: z.boolean(),
  never_sent: numeric,
  cut_short: numeric,
  is_streaming: z.boolean(),
  objectives: z.object({ ttft: numeric.exactOptional(), tpot: numeric.exactOptional(), itl: numeric.exactOptional(), e2el: numeric.exactOptional() }),
  good_share: numericOrNull,
  latencies,
  steady: z.object({ seconds: numeric, output_throughput: numeric, request_throughput: numeric }).nullable(),
  errors: z.array(z.object({ kind: z.string(), count: numeric, example: z.string() })),
  stalls: z.object({ count: numeric, longest_ms: numeric }),
  requests_without_usage: numeric,
  cached_tokens: numeric,
  per_model: z.array(share),
  per_tenant: z.array(share),
  per_kind: z.array(share),
  fairness: z.object({ models: fairness, tenants: fairness }),
  timeline: z.array(z.object({ second: numeric, output_tokens: numeric, completed: numeric, failed: numeric, running: numeric })),
  generator: z.object({
    cpu_seconds: numeric,
    cores: numeric,
    chunks_per_second: numeric,
    loop_delay_p99_ms: numeric,
    lateness_p99_ms: numericOrNull,
    warnings: z.array(z.string())
  }),
  server_metrics: z.object({ mean_queue_ms: numericOrNull, prefix_hit_rate: numericOrNull }).nullable()
})

const statistics = ['mean', 'median', 'std', 'p50', 'p90', 'p95', 'p99'] as const
type StatisticKey = `${typeof statistics[number]}_${typeof latencyNames[number]}_ms`
const statisticFields = Object.fromEntries(statistics.flatMap((statistic) => latencyNames.map((name) => [`${statistic}_${name}_ms`, numeric]))) as
  Record<StatisticKey, typeof numeric>

const endpoint = z.enum(['openai-chat', 'openai'])
const rate = z.union([numeric, z.literal('inf')])

export const runSchema = z.object({
  date: z.string(),
  endpoint_type: endpoint,
  backend: endpoint,
  label: z.string().nullable(),
  model_id: z.string(),
  tokenizer_id: z.string(),
  num_prompts: numeric,
  request_rate: rate,
  burstiness: rate,
  max_concurrency: numericOrNull,
  duration: numeric,
  completed: numeric,
  failed: numeric,
  total_input_tokens: numeric,
  total_output_tokens: numeric,
  request_throughput: numeric,
  request_goodput: numericOrNull,
  output_throughput: numeric,
  total_token_throughput: numeric,
  max_output_tokens_per_s: numeric,
  max_concurrent_requests: numeric,
  ...statisticFields,
  input_lens: numbers,
  output_lens: numbers,
  ttfts: numbers,
  itls: gaps,
  latencies: numbers,
  start_times: numbers,
  queue_times: numbers,
  generated_texts: texts,
  errors: texts,
  drawbridge: details
})

/** Of a file's runs, which is all of a report that others are made of. */
export const runsSchema = z.object({ runs: z.array(runSchema) }) satisfies z.ZodType<Pick<BenchReport, 'runs'>>
