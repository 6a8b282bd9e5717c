/*
 * What a benchmark leaves behind. The upper half has the keys and units of `vllm bench serve` (vllm/benchmarks/serve.py), so
 * that scripts made for its files read ours: lists have one member per request in order of sending, times in them are
 * seconds, and statistics end in `_ms`. What vLLM has no key for is under `drawbridge`.
 */

import type { Machine } from './report-machine.ts'

/** Names of the four latencies, as vLLM abbreviates them; docs/benchmarking.md defines them. */
export const latencyNames = ['ttft', 'tpot', 'itl', 'e2el'] as const
export type LatencyName = typeof latencyNames[number]

/** Percentiles that reports have, 1 to 99. */
export const percentiles = [50, 90, 95, 99] as const

/** Milliseconds, over `count` values; all 0 when there are none. */
export interface LatencySummary {
  readonly count: number
  readonly mean: number
  readonly median: number
  readonly std: number
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

export type Latencies = Readonly<Record<LatencyName, LatencySummary>>

/** The share of a run that one model, tenant or kind of request had. */
export interface Share {
  readonly name: string
  readonly requests: number
  readonly completed: number
  readonly failed: number
  readonly input_tokens: number
  readonly output_tokens: number
  /** Output tokens of completed requests per second of the run. */
  readonly output_throughput: number
  /** The share of the load that it had (0 to 1): of the users, where tenants have users of their own; else of the requests. */
  readonly weight: number
  /** Requests that met all objectives, per second; null without objectives. */
  readonly goodput: number | null
  readonly latencies: Latencies
}

/**
 * Jain's index, 1 when all have the same and 1/n when one has everything. Null with fewer than two to compare. How many requests each
 * one sends is the bench's own draw, so nothing is taken of sums but where each has users of its own, who ask as soon as they are
 * answered.
 */
export interface Fairness {
  /** Of the output tokens that each got per user; null where they have no users of their own: in open loops, and between models. */
  readonly output_tokens: number | null
  /** Of the share of its requests that each got completed. */
  readonly completed: number | null
  /** Of the mean TTFT that each saw. */
  readonly ttft: number | null
}

export interface ErrorCount {
  /** `http 429 queue_full`, `stalled`, `connection refused`, … */
  readonly kind: string
  readonly count: number
  /** What the first one said. */
  readonly example: string
}

/** One second of the run; the last one may be shorter. */
export interface TimelinePoint {
  readonly second: number
  readonly output_tokens: number
  readonly completed: number
  readonly failed: number
  /** Requests under way, averaged over the second. */
  readonly running: number
}

/** What the load generator used and whether it kept up. */
export interface GeneratorUsage {
  readonly cpu_seconds: number
  /** CPU seconds per second of the run; it has one core for its JavaScript. */
  readonly cores: number
  /** Chunks with output that it took in, per second of the run. */
  readonly chunks_per_second: number
  /** 99th percentile of how late its event loop was, in ms. */
  readonly loop_delay_p99_ms: number
  /** 99th percentile of how long after its moment a request was sent, in ms; null in closed loops. */
  readonly lateness_p99_ms: number | null
  /** Why its numbers should not be trusted; empty when it kept up. */
  readonly warnings: readonly string[]
}

/** What the server's own metrics say about the run: the difference of two scrapes. Null where it has none. */
export interface ServerMetrics {
  /** Mean time that requests waited for a slot, in ms, from `vllm:request_queue_time_seconds`. */
  readonly mean_queue_ms: number | null
  /** Share of prompt tokens that were found in a cache (0 to 1), from `vllm:prefix_cache_hits` and `…_queries`. */
  readonly prefix_hit_rate: number | null
}

export interface BenchDetails {
  /** Whose run this is when several servers are compared. */
  readonly server: string
  readonly url: string
  readonly repetition: number
  readonly load: { readonly type: 'closed' | 'open', readonly description: string }
  readonly workload: string
  /** Of lengths and moments. */
  readonly seed: number
  /** Of words. */
  readonly text_seed: number
  /** Whether no prompt begins like another, so that cached tokens mean that the server was asked the same before. */
  readonly asks_anew: boolean
  /** Tokens that the chat template adds to each prompt, about: a server may know these from the prompt before. */
  readonly template_tokens: number
  /** Whether somebody ended it before its limit: requests under way then are in no figure. */
  readonly was_interrupted: boolean
  /** Conversations of an open loop that were due within the run's duration, but not begun by its end. */
  readonly never_sent: number
  /** Conversations that the run's limit ended before their last request. */
  readonly cut_short: number
  readonly is_streaming: boolean
  /** Objectives in ms, by latency. */
  readonly objectives: Readonly<Partial<Record<LatencyName, number>>>
  /** Share of all requests, failed ones included, that met the objectives; null without objectives. */
  readonly good_share: number | null
  readonly latencies: Latencies
  /**
   * Between the moment when the load was first in full and the one when the last request was sent: without the
   * slopes at both ends, which make short runs look slow. Null for runs too short to have such a part.
   */
  readonly steady: { readonly seconds: number, readonly output_throughput: number, readonly request_throughput: number } | null
  readonly errors: readonly ErrorCount[]
  /** Gaps between two outputs of a stream that took longer than a second, and the longest, in ms. */
  readonly stalls: { readonly count: number, readonly longest_ms: number }
  /** Completed requests whose usage the server did not tell; token numbers are without them. */
  readonly requests_without_usage: number
  readonly cached_tokens: number
  readonly per_model: readonly Share[]
  readonly per_tenant: readonly Share[]
  readonly per_kind: readonly Share[]
  readonly fairness: { readonly models: Fairness, readonly tenants: Fairness }
  readonly timeline: readonly TimelinePoint[]
  readonly generator: GeneratorUsage
  readonly server_metrics: ServerMetrics | null
}

type VllmStatistics = {
  readonly [K in `${'mean' | 'median' | 'std' | 'p50' | 'p90' | 'p95' | 'p99'}_${LatencyName}_ms`]: number
}

export interface BenchRun extends VllmStatistics {
  /** `20261125-213804`, UTC. */
  readonly date: string
  readonly endpoint_type: 'openai-chat' | 'openai'
  readonly backend: 'openai-chat' | 'openai'
  readonly label: string | null
  readonly model_id: string
  readonly tokenizer_id: string
  readonly num_prompts: number
  readonly request_rate: number | 'inf'
  readonly burstiness: number | 'inf'
  readonly max_concurrency: number | null
  /** Seconds from the first request to the end of the last. */
  readonly duration: number
  readonly completed: number
  readonly failed: number
  readonly total_input_tokens: number
  readonly total_output_tokens: number
  readonly request_throughput: number
  readonly request_goodput: number | null
  readonly output_throughput: number
  readonly total_token_throughput: number
  /** Most output tokens in one second of the run. */
  readonly max_output_tokens_per_s: number
  readonly max_concurrent_requests: number
  readonly input_lens: readonly number[]
  readonly output_lens: readonly number[]
  readonly ttfts: readonly number[]
  readonly itls: readonly (readonly number[])[]
  readonly latencies: readonly number[]
  readonly start_times: readonly number[]
  /** How long after its scheduled moment each request was sent; zeros in closed loops. */
  readonly queue_times: readonly number[]
  readonly generated_texts: readonly string[]
  /** Empty texts for completed requests. */
  readonly errors: readonly string[]
  readonly drawbridge: BenchDetails
}

/** What a server does more of the more it can take. */
export type ThroughputMeasure = 'output_throughput' | 'request_throughput'

/** Where the load saturates the server. */
export interface Saturation {
  /** What was varied. */
  readonly axis: 'concurrency' | 'rate'
  /** The first value beyond which nothing is gained. Null when the sweep did not reach it, and when nothing was answered. */
  readonly at: number | null
  /** By what loads were compared: requests where the server does not tell the usage of all. */
  readonly measure: ThroughputMeasure
  /** The most that it did, by that measure. */
  readonly best: number
  readonly explanation: string
}

/** One measure of two servers. */
export interface Ratio {
  /** `output_throughput`, `mean_ttft_ms`, … */
  readonly measure: string
  readonly isHigherBetter: boolean
  readonly a: number
  readonly b: number
  /** b / a, of each pair of runs that followed each other. */
  readonly ratios: readonly number[]
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Comparison {
  readonly a: string
  readonly b: string
  /** What else differs between the two than the server, in sentences. */
  readonly differences: readonly string[]
  /** Per value of the sweep; one entry for runs without a sweep. */
  readonly loads: readonly { readonly description: string, readonly ratios: readonly Ratio[] }[]
}

/** A whole benchmark: a file of this kind, or a bare `BenchRun` when there was but one. */
export interface BenchReport {
  readonly drawbridge_bench: 1
  /** Without keys. */
  readonly command: string
  readonly machine: Machine & { readonly version: string }
  readonly runs: readonly BenchRun[]
  readonly saturation: readonly (Saturation & { readonly server: string })[]
  readonly comparison: Comparison | null
}
