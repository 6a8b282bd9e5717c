import type {
  BenchReport, BenchRun, Comparison, ErrorCount, Latencies, LatencySummary, Ratio, Share, TimelinePoint
} from '../../../src/bench/report/bench-run.ts'
import { Random } from '../../../src/domain/random.ts'

/** What a made-up run is like. */
export interface SyntheticOptions {
  readonly seed?: number
  readonly server?: string
  readonly model?: string
  readonly requests?: number
  readonly concurrency?: number
  /** Requests per second; makes it an open loop. */
  readonly rate?: number
  readonly repetition?: number
  /** Ms of each token with one request at a time. */
  readonly stepMs?: number
  readonly failedShare?: number
  readonly models?: readonly string[]
  readonly tenants?: readonly string[]
  readonly kinds?: readonly string[]
  readonly hasObjectives?: boolean
  readonly isStreaming?: boolean
  readonly error?: ErrorCount
  readonly details?: Partial<BenchRun['drawbridge']>
}

interface MadeRequest {
  readonly start: number
  readonly ttft: number
  readonly gaps: readonly number[]
  readonly end: number
  readonly tokens: number
  readonly isFailed: boolean
}

/** A run as a simple server would have it: tokens get slower with the load, and waiting starts beyond 16 at a time. */
export function syntheticRun (options: SyntheticOptions = {}): BenchRun {
  const { seed = 1, requests = 200, concurrency = 8, rate, stepMs = 12, failedShare = 0, isStreaming = true } = options
  const random = new Random(seed)
  const load = rate ?? concurrency
  const step = stepMs * (1 + Math.min(load, 16) / 20) / 1000
  const waiting = Math.max(0, load - 16) / 16
  const free = Array.from({ length: concurrency }, () => 0)
  let now = 0
  const made = Array.from({ length: requests }, (_, index): MadeRequest => {
    const slot = free.indexOf(Math.min(...free))
    now = rate === undefined ? free[slot] ?? 0 : now + random.exponential(1 / rate)
    const isFailed = index < requests && random.uniform() < failedShare
    const tokens = isFailed ? 0 : Math.max(1, Math.round(random.logNormal(60, 0.6)))
    const ttft = isFailed ? 0 : random.logNormal(0.05, 0.5) + waiting * random.logNormal(1, 0.3)
    const gaps = Array.from({ length: Math.max(0, tokens - 1) }, () => random.uniform() < 0.08 ? 0 : random.logNormal(step, 0.25))
    const end = now + (isFailed ? 0.05 : ttft + gaps.reduce((sum, gap) => sum + gap, 0) + 0.001)
    free[slot] = end
    return { start: now, ttft, gaps, end, tokens, isFailed }
  })
  const duration = Math.max(0.001, ...made.map(({ end }) => end))
  const good = made.filter(({ isFailed }) => !isFailed)
  const latencies = latenciesOf(good, isStreaming)
  const outputTokens = good.reduce((sum, { tokens }) => sum + tokens, 0)
  const models = options.models ?? [options.model ?? 'demo']
  const failed = requests - good.length
  const shares = (names: readonly string[]): Share[] => names.map((name, index) => {
    const own = made.filter((_, request) => request % names.length === index)
    const completed = own.filter(({ isFailed }) => !isFailed)
    const tokens = completed.reduce((sum, request) => sum + request.tokens, 0)
    return {
      name,
      requests: own.length,
      completed: completed.length,
      failed: own.length - completed.length,
      input_tokens: own.length * 100,
      output_tokens: tokens,
      output_throughput: tokens / duration,
      weight: 1 / names.length,
      goodput: options.hasObjectives ? completed.length * 0.9 / duration : null,
      latencies: latenciesOf(completed, isStreaming)
    }
  })
  const error = options.error ?? { kind: 'http 429 queue_full', count: 0, example: '64 requests are waiting; the limit is 64' }
  return {
    date: '20261125-213804',
    endpoint_type: 'openai-chat',
    backend: 'openai-chat',
    label: null,
    model_id: options.model ?? 'demo',
    tokenizer_id: options.model ?? 'demo',
    num_prompts: requests,
    request_rate: rate ?? 'inf',
    burstiness: rate === undefined ? 'inf' : 1,
    max_concurrency: rate === undefined ? concurrency : null,
    duration,
    completed: good.length,
    failed,
    total_input_tokens: requests * 100,
    total_output_tokens: outputTokens,
    request_throughput: good.length / duration,
    request_goodput: options.hasObjectives ? good.length * 0.9 / duration : null,
    output_throughput: outputTokens / duration,
    total_token_throughput: (outputTokens + requests * 100) / duration,
    max_output_tokens_per_s: outputTokens / duration * 1.3,
    max_concurrent_requests: concurrency,
    input_lens: made.map(() => 100),
    output_lens: made.map(({ tokens }) => tokens),
    ttfts: made.map(({ ttft }) => isStreaming ? ttft : 0),
    itls: made.map(({ gaps }) => isStreaming ? gaps : []),
    latencies: made.map(({ start, end, isFailed }) => isFailed ? 0 : end - start),
    start_times: made.map(({ start }) => start),
    queue_times: made.map(() => 0),
    generated_texts: [],
    errors: made.map(({ isFailed }) => isFailed ? error.example : ''),
    ...flat(latencies),
    drawbridge: {
      server: options.server ?? 'drawbridge',
      url: 'http://127.0.0.1:8080',
      repetition: options.repetition ?? 1,
      load: rate === undefined
        ? { type: 'closed', description: `${concurrency} requests at a time` }
        : { type: 'open', description: `${rate} requests per second (Poisson)` },
      workload: 'chat: inputs around 100 tokens, outputs around 60',
      seed: 42,
      text_seed: 42,
      asks_anew: false,
      template_tokens: 0,
      was_interrupted: false,
      never_sent: 0,
      cut_short: 0,
      is_streaming: isStreaming,
      objectives: options.hasObjectives ? { ttft: 200, tpot: 30 } : {},
      good_share: options.hasObjectives ? good.length * 0.9 / requests : null,
      latencies,
      steady: good.length > 20
        ? { seconds: duration * 0.8, output_throughput: outputTokens / duration * 1.06, request_throughput: good.length / duration * 1.05 }
        : null,
      errors: failed > 0 ? [{ ...error, count: failed }] : [],
      stalls: { count: 0, longest_ms: 0 },
      requests_without_usage: 0,
      cached_tokens: requests * 31,
      per_model: shares(models),
      per_tenant: shares(options.tenants ?? ['default']),
      per_kind: shares(options.kinds ?? ['chat']),
      fairness: {
        models: { output_tokens: null, completed: models.length > 1 ? 0.973 : null, ttft: models.length > 1 ? 0.912 : null },
        tenants: { output_tokens: options.tenants ? 0.99 : null, completed: options.tenants ? 1 : null, ttft: options.tenants ? 0.85 : null }
      },
      timeline: timelineOf(made, duration),
      generator: {
        cpu_seconds: duration * 0.12,
        cores: 0.12,
        chunks_per_second: outputTokens / duration,
        loop_delay_p99_ms: 2.31,
        lateness_p99_ms: rate === undefined ? null : 1.4,
        warnings: []
      },
      server_metrics: { mean_queue_ms: waiting * 1000, prefix_hit_rate: 0.31 },
      ...options.details
    }
  }
}

export function syntheticReport (runs: readonly BenchRun[], rest: Partial<BenchReport> = {}): BenchReport {
  return {
    drawbridge_bench: 1,
    command: 'drawbridge bench --url http://127.0.0.1:8080/v1 --model demo --requests 200',
    machine: {
      date: '2026-11-25T21:38:04.123Z',
      version: '0.2.0',
      node: 'v20.20.0',
      platform: 'linux x64',
      cpu: 'AMD EPYC 7B13',
      cores: 2,
      memoryBytes: 8 * 2 ** 30,
      loadAverage: 0.42
    },
    runs,
    saturation: [],
    comparison: null,
    ...rest
  }
}

/** Of every pair of runs with the same load and repetition. */
export function syntheticComparison (a: string, b: string, runs: readonly BenchRun[]): Comparison {
  const descriptions = [...new Set(runs.map(({ drawbridge }) => drawbridge.load.description))]
  return {
    a,
    b,
    differences: [],
    loads: descriptions.map((description) => {
      const of = (server: string) => runs.filter(({ drawbridge }) => drawbridge.server === server && drawbridge.load.description === description)
      const ratio = (measure: string, isHigherBetter: boolean, value: (run: BenchRun) => number): Ratio => {
        const pairs = of(a).map((run, index) => [value(run), value(of(b)[index] ?? run)] as const)
        const ratios = pairs.map(([from, to]) => to / from)
        const sorted = ratios.toSorted((x, y) => x - y)
        return {
          measure,
          isHigherBetter,
          a: pairs[0]?.[0] ?? 0,
          b: pairs[0]?.[1] ?? 0,
          ratios,
          median: sorted[Math.floor(sorted.length / 2)] ?? 1,
          min: sorted[0] ?? 1,
          max: sorted.at(-1) ?? 1
        }
      }
      return {
        description,
        ratios: [
          ratio('output_throughput', true, (run) => run.output_throughput),
          ratio('request_throughput', true, (run) => run.request_throughput),
          ratio('mean_ttft_ms', false, (run) => run.mean_ttft_ms),
          ratio('p99_ttft_ms', false, (run) => run.p99_ttft_ms),
          ratio('mean_tpot_ms', false, (run) => run.mean_tpot_ms),
          ratio('p99_itl_ms', false, (run) => run.p99_itl_ms),
          ratio('mean_e2el_ms', false, (run) => run.mean_e2el_ms)
        ]
      }
    })
  }
}

function timelineOf (made: readonly MadeRequest[], duration: number): TimelinePoint[] {
  const points = Array.from({ length: Math.ceil(duration) }, (_, second) => ({ second, output_tokens: 0, completed: 0, failed: 0, running: 0 }))
  const at = (time: number) => points[Math.min(points.length - 1, Math.floor(time))]
  for (const { start, ttft, gaps, end, tokens, isFailed } of made) {
    const last = at(end)
    if (last) last[isFailed ? 'failed' : 'completed']++
    let time = start + ttft
    for (let token = 0; token < tokens; token++) {
      const point = at(time)
      if (point) point.output_tokens++
      time += gaps[token] ?? 0
    }
    for (const point of points) {
      const length = Math.min(1, duration - point.second)
      point.running += Math.max(0, Math.min(end, point.second + length) - Math.max(start, point.second)) / length
    }
  }
  return points
}

function latenciesOf (requests: readonly MadeRequest[], isStreaming: boolean): Latencies {
  const streamed = isStreaming ? requests : []
  return {
    ttft: summaryOf(streamed.map(({ ttft }) => ttft * 1000)),
    tpot: summaryOf(streamed.filter(({ tokens }) => tokens > 1).map(({ start, end, ttft, tokens }) => (end - start - ttft) * 1000 / (tokens - 1))),
    itl: summaryOf(streamed.flatMap(({ gaps }) => gaps.map((gap) => gap * 1000))),
    e2el: summaryOf(requests.map(({ start, end }) => (end - start) * 1000))
  }
}

function summaryOf (values: readonly number[]): LatencySummary {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? 0
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  return { count: values.length, mean, median: at(0.5), std: 0, p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max: at(1) }
}

function flat (latencies: Latencies) {
  const of = <Name extends keyof Latencies>(name: Name) => Object.fromEntries((['mean', 'median', 'std', 'p50', 'p90', 'p95', 'p99'] as const)
    .map((statistic) => [`${statistic}_${name}_ms`, latencies[name][statistic]])) as
    Record<`${'mean' | 'median' | 'std' | 'p50' | 'p90' | 'p95' | 'p99'}_${Name}_ms`, number>
  return { ...of('ttft'), ...of('tpot'), ...of('itl'), ...of('e2el') }
}
