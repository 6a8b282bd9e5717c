import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { AdapterLibrary } from '../adapters/adapter-library.ts'
import { limitNames, snakeName } from '../domain/limits.ts'
import type { InferenceSnapshot } from '../inference/inference.ts'
import type { ModelHost } from '../models/model-host.ts'
import type { Observer, RequestRecord } from './observer.ts'
import { createAdapterMetrics } from './adapter-metrics.ts'
import { type BatchCounts, createBatchMetrics } from './batch-metrics.ts'
import { gapBucketsSeconds } from './gap-counts.ts'
import { GapHistogram } from './gap-histogram.ts'
import { createServerMetrics, type ServerFacts } from './server-metrics.ts'

export interface Metrics extends Observer {
  readonly contentType: string
  /** The metrics as text. Reads the latest known numbers, never waits for a step. */
  render (): Promise<string>
  /** Tells of batches from now on; the counts are read when somebody scrapes. */
  watchBatches (counts: BatchCounts): void
}

/**
 * Tokens in a block of `vllm:cache_config_info`. A slot's cache is reused token by token and has no blocks; this is vLLM's own default.
 * Routers that look for known prefixes cut prompts into blocks of this size and compare a few hundred of them, so that blocks of one token
 * would make them blind after the first sentences.
 */
const cacheBlockSize = 16

/** Upper bounds in seconds, as vLLM has them. */
const ttftBuckets = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560
]
const requestBuckets = [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680]
const tokenBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const ratio = (part: number, whole: number): number => whole === 0 ? 0 : part / whole

const slotsOf = (snapshot: InferenceSnapshot): number => sum(snapshot.lanes.map((lane) => lane.slotCount))
const busySlotsOf = (snapshot: InferenceSnapshot): number => sum(snapshot.lanes.map((lane) => lane.busySlots))

/**
 * The share of the KV cache that is spoken for. A slot's cells belong to its sequence alone, so that is the share of busy
 * slots; what idle slots hold is only a cache and stands in nobody's way.
 */
const cacheUsage = (snapshot: InferenceSnapshot): number => ratio(busySlotsOf(snapshot), slotsOf(snapshot))

interface SnapshotMetric {
  readonly name: string
  readonly help: string
  /** `counter`: counted by the engine process since its start, so that it starts anew when that is replaced. */
  readonly type: 'gauge' | 'counter'
  readonly value: (snapshot: InferenceSnapshot) => number
}

/**
 * What is read from a model's snapshot when somebody scrapes. The names of `vllm:` are those that routers and autoscalers
 * of vLLM look for, the last four in their old spelling.
 */
const snapshotMetrics: readonly SnapshotMetric[] = [
  { name: 'vllm:num_requests_running', type: 'gauge', help: 'Sequences in slots', value: ({ running }) => running },
  { name: 'vllm:num_requests_waiting', type: 'gauge', help: 'Sequences that wait for a slot', value: ({ waiting }) => waiting },
  { name: 'vllm:kv_cache_usage_perc', type: 'gauge', help: 'Share of the KV cache that running sequences hold, 0 to 1', value: cacheUsage },
  { name: 'vllm:prompt_tokens_total', type: 'counter', help: 'Prompt tokens, cached ones included', value: ({ promptTokens, prefixHitTokens }) => promptTokens + prefixHitTokens },
  { name: 'vllm:generation_tokens_total', type: 'counter', help: 'Tokens drawn', value: ({ drawnTokens }) => drawnTokens },
  { name: 'vllm:spec_decode_num_draft_tokens_total', type: 'counter', help: 'Tokens guessed ahead of draws', value: ({ guessedTokens }) => guessedTokens },
  { name: 'vllm:spec_decode_num_accepted_tokens_total', type: 'counter', help: 'Guessed tokens that were the ones drawn', value: ({ rightGuesses }) => rightGuesses },
  { name: 'drawbridge_draft_model_guesses_total', type: 'counter', help: 'Tokens guessed ahead by the draft model; the others come from what the answer repeats', value: ({ draftedTokens }) => draftedTokens },
  { name: 'drawbridge_draft_model_right_guesses_total', type: 'counter', help: 'Guesses of the draft model that were the tokens drawn', value: ({ rightDrafts }) => rightDrafts },
  { name: 'vllm:num_preemptions_total', type: 'counter', help: 'Slots taken from running sequences for the sake of others', value: ({ preempted }) => preempted },
  { name: 'drawbridge_recomputed_tokens_total', type: 'counter', help: 'Tokens computed again for sequences that had lost their slot', value: ({ recomputedTokens }) => recomputedTokens },
  { name: 'vllm:prefix_cache_queries_total', type: 'counter', help: 'Prompt tokens looked up in the prefix cache', value: ({ prefixQueriedTokens }) => prefixQueriedTokens },
  { name: 'vllm:prefix_cache_hits_total', type: 'counter', help: 'Prompt tokens found in the prefix cache', value: ({ prefixHitTokens }) => prefixHitTokens },
  { name: 'drawbridge_parked_caches', type: 'gauge', help: 'Caches that were saved when their slot was given away', value: ({ parkedCaches }) => parkedCaches },
  { name: 'drawbridge_parked_cache_bytes', type: 'gauge', help: 'Bytes of saved caches', value: ({ parkedBytes }) => parkedBytes },
  { name: 'drawbridge_caches_parked_total', type: 'counter', help: 'Caches saved', value: ({ cachesParked }) => cachesParked },
  { name: 'drawbridge_caches_restored_total', type: 'counter', help: 'Saved caches that a request began with', value: ({ cachesRestored }) => cachesRestored },
  { name: 'drawbridge_restored_tokens_total', type: 'counter', help: 'Prompt tokens found in saved caches', value: ({ restoredTokens }) => restoredTokens },
  { name: 'drawbridge_parked_caches_evicted_total', type: 'counter', help: 'Saved caches dropped to make room', value: ({ cachesEvicted }) => cachesEvicted },
  { name: 'drawbridge_embedded_inputs_total', type: 'counter', help: 'Inputs of embeddings and documents of reranks that were computed', value: ({ embeddedInputs }) => embeddedInputs },
  { name: 'drawbridge_steps_total', type: 'counter', help: 'Forward passes', value: ({ steps }) => steps },
  { name: 'drawbridge_adapter_switches_total', type: 'counter', help: 'Forward passes with other adapters than the one before in their lane', value: ({ adapterSwitches }) => adapterSwitches },
  { name: 'drawbridge_step_seconds_total', type: 'counter', help: 'Time spent in forward passes, summed over lanes', value: ({ stepSeconds }) => stepSeconds },
  { name: 'drawbridge_compute_threads', type: 'gauge', help: 'Threads that compute, over all lanes; fewer than were set while other programs want the cores', value: ({ lanes }) => sum(lanes.map(({ threads }) => threads)) },
  { name: 'drawbridge_slots_total', type: 'gauge', help: 'Slots over all lanes', value: slotsOf },
  { name: 'drawbridge_requests', type: 'gauge', help: 'Requests queued or running', value: ({ requests }) => requests },
  { name: 'drawbridge_sequences_aborted_total', type: 'counter', help: 'Sequences whose client went before the end', value: ({ aborted }) => aborted },
  { name: 'drawbridge_sequences_failed_total', type: 'counter', help: 'Sequences that ended with an error', value: ({ failed }) => failed },
  { name: 'vllm:gpu_cache_usage_perc', type: 'gauge', help: 'Old name of vllm:kv_cache_usage_perc', value: cacheUsage },
  { name: 'vllm:gpu_prefix_cache_queries_total', type: 'counter', help: 'Old name of vllm:prefix_cache_queries_total', value: ({ prefixQueriedTokens }) => prefixQueriedTokens },
  { name: 'vllm:gpu_prefix_cache_hits_total', type: 'counter', help: 'Old name of vllm:prefix_cache_hits_total', value: ({ prefixHitTokens }) => prefixHitTokens },
  { name: 'vllm:gpu_prefix_cache_hit_rate', type: 'gauge', help: 'Share of looked-up prompt tokens found in the prefix cache since start', value: ({ prefixHitTokens, prefixQueriedTokens }) => ratio(prefixHitTokens, prefixQueriedTokens) }
]

const noFacts: ServerFacts = { isDraining: () => false, database: null, lostUsageRows: () => null, certificateEnd: () => null }

/**
 * All metrics of one server in a registry of its own.
 * @param hosts the models at the time of a scrape
 */
export function createMetrics (hosts: () => readonly ModelHost[], adapters: AdapterLibrary, facts: ServerFacts = noFacts): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const labelNames = ['model_name']
  collectDefaultMetrics({ register: registry })

  for (const { name, help, type, value } of snapshotMetrics) {
    if (type === 'gauge') {
      const gauge: Gauge = new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect: () => { for (const host of hosts()) gauge.set({ model_name: host.id }, value(host.inference.snapshot())) }
      })
    } else {
      const counter: Counter = new Counter({
        name,
        help,
        labelNames,
        registers,
        collect () {
          counter.reset()
          for (const host of hosts()) counter.inc({ model_name: host.id }, value(host.inference.snapshot()))
        }
      })
    }
  }

  const busySlots: Gauge = new Gauge({
    name: 'drawbridge_slots_busy',
    help: 'Slots that a sequence holds',
    labelNames: ['model_name', 'lane'],
    registers,
    collect () {
      busySlots.reset()
      for (const host of hosts()) {
        for (const { lane, busySlots: busy } of host.inference.snapshot().lanes) {
          busySlots.set({ model_name: host.id, lane }, busy)
        }
      }
    }
  })
  const engineUp: Gauge = new Gauge({
    name: 'drawbridge_engine_up',
    help: 'Whether the model can decode',
    labelNames,
    registers,
    collect: () => { for (const host of hosts()) engineUp.set({ model_name: host.id }, host.state === 'ready' ? 1 : 0) }
  })
  const engineInfo: Gauge = new Gauge({
    name: 'drawbridge_engine_info',
    help: 'How a model is computed, always 1',
    labelNames: ['model_name', 'build', 'placement', 'threads', 'flash_attention'],
    registers,
    collect () {
      engineInfo.reset()
      for (const { id, info } of hosts()) {
        if (info === null) continue
        const { build, placement, threads, flashAttention } = info
        engineInfo.set({ model_name: id, build, placement, threads, flash_attention: flashAttention ? 'on' : 'off' }, 1)
      }
    }
  })
  const cacheConfig: Gauge = new Gauge({
    name: 'vllm:cache_config_info',
    help: 'Size of the KV cache in blocks of tokens, always 1',
    labelNames: ['model_name', 'block_size', 'num_gpu_blocks'],
    registers,
    collect () {
      cacheConfig.reset()
      for (const { id, info } of hosts()) {
        if (info === null || info.canGenerate === false) continue
        const { laneCount, slotsPerLane, contextSize } = info
        cacheConfig.set({ model_name: id, block_size: cacheBlockSize, num_gpu_blocks: laneCount * slotsPerLane * Math.floor(contextSize / cacheBlockSize) }, 1)
      }
    }
  })
  const engineRestarts: Counter = new Counter({
    name: 'drawbridge_engine_restarts_total',
    help: 'Engine processes replaced after a crash',
    labelNames,
    registers,
    collect () {
      engineRestarts.reset()
      for (const host of hosts()) engineRestarts.inc({ model_name: host.id }, host.restarts)
    }
  })

  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name, help, buckets, labelNames, registers })
  const success = new Counter({
    name: 'vllm:request_success_total', help: 'Choices that ended, by reason', labelNames: ['model_name', 'finished_reason'], registers
  })
  const ttft = histogram('vllm:time_to_first_token_seconds', 'Arrival of the request to its first text', ttftBuckets)
  const endToEnd = histogram('vllm:e2e_request_latency_seconds', 'Arrival of the request to its last byte', requestBuckets)
  const queueTime = histogram('vllm:request_queue_time_seconds', 'Longest wait of a request\'s choices for a slot', requestBuckets)
  const prefillTime = histogram('vllm:request_prefill_time_seconds', 'First slot of a request to its first text', requestBuckets)
  const decodeTime = histogram('vllm:request_decode_time_seconds', 'First text of a request to its last', requestBuckets)
  const inferenceTime = histogram('vllm:request_inference_time_seconds', 'First slot or turn of a request to its end', requestBuckets)
  const timePerToken = histogram('vllm:request_time_per_output_token_seconds', 'Decode time per token after the first, of requests for one choice', [...gapBucketsSeconds])
  const choiceCounts = histogram('vllm:request_params_n', 'Choices that a request asks for, per prompt', [1, 2, 5, 10, 20])
  const maxTokens = histogram('vllm:request_params_max_tokens', 'Most tokens per choice that a request asks for', tokenBuckets)
  const promptTokens = histogram('vllm:request_prompt_tokens', 'Prompt tokens of a request', tokenBuckets)
  const generationTokens = histogram('vllm:request_generation_tokens', 'Tokens drawn for a request', tokenBuckets)
  const gapHistograms = [
    new GapHistogram({ name: 'vllm:inter_token_latency_seconds', help: 'Gaps between consecutive texts of a choice', registry }),
    new GapHistogram({ name: 'vllm:time_per_output_token_seconds', help: 'Old name of vllm:inter_token_latency_seconds', registry })
  ]
  const httpRequests = new Counter({
    name: 'drawbridge_http_requests_total', help: 'Requests answered', labelNames: ['route', 'method', 'status'], registers
  })

  const limitRefusals = new Counter({
    name: 'drawbridge_limit_refusals_total', help: 'Requests that a limit of their key or its owner kept from running, by the limit', labelNames: ['limit'], registers
  })
  for (const name of limitNames) limitRefusals.inc({ limit: snakeName(name) }, 0)

  createServerMetrics(registry, facts)
  const adapterMetrics = createAdapterMetrics(registry, hosts, adapters)
  const watchBatches = createBatchMetrics(registry)

  return {
    contentType: registry.contentType,
    render: async () => await registry.metrics(),
    watchBatches,
    requestFinished: (record: RequestRecord) => {
      httpRequests.inc({ route: record.route, method: record.method, status: record.status })
      if (record.refusedBy != null) limitRefusals.inc({ limit: snakeName(record.refusedBy) })
      const { generation } = record
      if (generation === null) return
      const labels = { model_name: generation.model }
      adapterMetrics.generationFinished(generation)
      for (const reason of generation.finishReasons) success.inc({ ...labels, finished_reason: reason })
      // Those that were refused had no choices yet; the count of answers by status has them.
      const wasAccepted = generation.promptTokens > 0
      if (record.outcome !== 'ok' && wasAccepted) success.inc({ ...labels, finished_reason: record.outcome === 'aborted' ? 'abort' : 'error' })
      if (generation.queuedMs !== null) queueTime.observe(labels, generation.queuedMs / 1000)
      if (generation.ttftMs !== null) ttft.observe(labels, generation.ttftMs / 1000)
      for (const gaps of gapHistograms) gaps.merge(generation.model, generation.gaps)
      const { startedMs, ttftMs, endedMs } = generation
      if (startedMs !== null && ttftMs !== null) prefillTime.observe(labels, (ttftMs - startedMs) / 1000)
      if (record.outcome !== 'ok') return
      if (startedMs !== null && endedMs !== null) inferenceTime.observe(labels, (endedMs - startedMs) / 1000)
      if (ttftMs !== null && endedMs !== null) {
        const decodeSeconds = (endedMs - ttftMs) / 1000
        decodeTime.observe(labels, decodeSeconds)
        if (generation.finishReasons.length === 1 && generation.completionTokens > 1) timePerToken.observe(labels, decodeSeconds / (generation.completionTokens - 1))
      }
      if (generation.choicesPerPrompt > 0) choiceCounts.observe(labels, generation.choicesPerPrompt)
      if (generation.maxTokens !== null) maxTokens.observe(labels, generation.maxTokens)
      endToEnd.observe(labels, record.durationMs / 1000)
      promptTokens.observe(labels, generation.promptTokens)
      // Requests for vectors and ranks have no choices.
      if (generation.finishReasons.length > 0) generationTokens.observe(labels, generation.completionTokens)
    }
  }
}
