import { mixSeed } from '../domain/seed.ts'
import { now, type BenchServer } from './bench-server.ts'
import { describeLimit, describeLoad, type LoadShape, type OpenLoop, type RunLimit } from './load/load-shape.ts'
import { runLoad, type LoadProgress, type Tenant } from './load/run-load.ts'
import { summarizeRun } from './measure/bench-run.ts'
import { GeneratorWatch } from './measure/generator-watch.ts'
import { serverMetricsBetween } from './measure/server-metrics.ts'
import type { BenchOptions } from './parse-options.ts'
import type { BenchRun } from './report/bench-run.ts'
import { capacityOf, hasGained } from './report/throughput.ts'
import { asOneLine, secretsOf, withoutQueryValues, withoutSecrets } from './secrets.ts'
import { createMix, shareOut, weightedMix, type Mix } from './workload/mix.ts'
import { conversationsPerRun, type Workload } from './workload/workload.ts'

/** Those of warm-ups, beyond all runs. */
const warmupConversations = 0x6000_0000
const mostConcurrency = 1024
/** Concurrency at which `--rate auto` finds out what a server can do. */
const capacityConcurrency = 64
const shares = [0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25]

export interface RunObserver {
  readonly onRunStart: (title: string, limit: RunLimit) => void
  readonly onProgress: (progress: LoadProgress) => void
  readonly onRunEnd: (run: BenchRun) => void
}

/** Runs the loads of a benchmark, one after the other, each against every server in turn. */
export class BenchRunner {
  readonly #servers: readonly BenchServer[]
  readonly #options: BenchOptions
  readonly #workload: Workload
  readonly #templateTokens: number
  readonly #observer: RunObserver
  readonly #signal: AbortSignal
  readonly #runs: BenchRun[] = []
  #loads = 0

  /** @param templateTokens what a chat template adds to each prompt. */
  constructor (servers: readonly BenchServer[], options: BenchOptions, workload: Workload, templateTokens: number, observer: RunObserver, signal: AbortSignal) {
    this.#servers = servers
    this.#options = options
    this.#workload = workload
    this.#templateTokens = templateTokens
    this.#observer = observer
    this.#signal = signal
  }

  /** @returns the runs in order; when the signal fires, those that had answers by then. */
  async run (): Promise<readonly BenchRun[]> {
    const { plan } = this.#options
    switch (plan.type) {
      case 'given':
        await this.#runLoads(plan.shapes)
        break
      case 'auto-concurrency':
        await this.#doubleConcurrency()
        break
      case 'auto-rate':
        await this.#runLoads(await this.#ratesToTry(plan.template))
        break
    }
    return this.#runs
  }

  /** Repetitions outside, loads inside: a slow minute of the machine falls on all loads. */
  async #runLoads (shapes: readonly LoadShape[]): Promise<void> {
    for (let repetition = 1; repetition <= this.#options.repetitions; repetition++) {
      for (const shape of shapes) await this.#takeTurns(shape, repetition)
    }
  }

  /** Until twice the load has gained no server anything, twice in a row. */
  async #doubleConcurrency (): Promise<void> {
    let inVain = 0
    for (let concurrency = 1; concurrency <= mostConcurrency && inVain < 2 && !this.#signal.aborted; concurrency *= 2) {
      const first = this.#runs.length
      for (let repetition = 1; repetition <= this.#options.repetitions; repetition++) {
        await this.#takeTurns({ type: 'closed', concurrency }, repetition)
      }
      inVain = hasGained(this.#runs.slice(0, first), this.#runs.slice(first)) ? 0 : inVain + 1
    }
  }

  /** The first server is asked as much as it can take; rates are shares of what it answered. */
  async #ratesToTry (template: OpenLoop): Promise<readonly LoadShape[]> {
    const [server] = this.#servers
    if (server === undefined) return []
    const run = await this.#runOnce(server, { type: 'closed', concurrency: capacityConcurrency }, 0)
    const capacity = capacityOf(run)
    if (!(capacity > 0)) {
      // What came instead of answers is all that there is to report.
      if (run.num_prompts > 0) this.#runs.push(run)
      return []
    }
    return shares.map((share) => ({ ...template, rate: Number((capacity * share).toPrecision(2)) }))
  }

  /** A B, then B A: neither server is always the first. */
  async #takeTurns (shape: LoadShape, repetition: number): Promise<void> {
    const load = ++this.#loads
    for (const server of repetition % 2 === 1 ? this.#servers : this.#servers.toReversed()) {
      if (this.#signal.aborted) return
      const run = await this.#runOnce(server, shape, repetition, load)
      if (run.num_prompts > 0) this.#runs.push(run)
    }
  }

  /** @param load its number decides what is asked, so that both servers are asked the same. */
  async #runOnce (server: BenchServer, shape: LoadShape, repetition: number, load = 0): Promise<BenchRun> {
    const { tenants, seed, textSeed } = this.#options
    const limit = this.#options.limit ?? defaultLimit(shape)
    const description = describeLoad(shape)
    this.#observer.onRunStart(`${server.label} · ${description}${repetition > 1 ? ` · repetition ${repetition}` : ''}`, limit)
    // Another seed than the tenants': who asks shall not decide what is asked.
    const models = createMix(this.#options.modelMix, server.models, mixSeed(seed, 0x7fff_0003))
    const tenantMix: Mix<Tenant> | null = tenants.length === 0 ? null : weightedMix(tenants, tenants.map(({ weight }) => weight), seed)
    const users = tenantMix === null || shape.type === 'open' ? null : shareOut(shape.concurrency, tenantMix.weights)
    const before = await server.sampleMetrics()
    const watch = new GeneratorWatch()
    const date = new Date()
    const result = await runLoad({
      shape,
      limit,
      workload: this.#workload,
      models,
      tenants: tenantMix,
      // Loads of a sweep differ in their rate alone; repetitions differ.
      seed: mixSeed(seed, repetition),
      // No run asks what another one has put into a cache.
      firstConversation: load * conversationsPerRun,
      send: server.send,
      clock: now,
      onProgress: this.#observer.onProgress,
      signal: this.#signal
    })
    const generator = watch.stop(result.records, shape.type === 'open')
    const secrets = secretsOf(this.#options)
    const clean = (text: string): string => asOneLine(withoutSecrets(text, secrets))
    const records = result.records.map((record) => ({
      ...record,
      model: asOneLine(record.model),
      failure: record.failure === null ? null : { kind: clean(record.failure.kind), message: clean(record.failure.message) }
    }))
    const run = summarizeRun(records, {
      date,
      endpoint: this.#options.endpoint,
      label: server.label,
      modelId: asOneLine(server.models.join(',')),
      server: server.label,
      url: withoutQueryValues(server.url.href),
      repetition,
      load: { type: shape.type, description },
      workload: `${this.#workload.description}, ${describeLimit(limit)}`,
      seed,
      text_seed: textSeed,
      asks_anew: this.#workload.asksAnew,
      template_tokens: this.#templateTokens,
      was_interrupted: result.wasInterrupted,
      never_sent: result.neverSentCount,
      cut_short: result.cutShortCount,
      is_streaming: this.#options.isStreaming,
      objectives: this.#options.objectives,
      generator,
      server_metrics: serverMetricsBetween(before, await server.sampleMetrics()),
      requestRate: shape.type === 'open' ? shape.rate : Infinity,
      burstiness: shape.type === 'open' ? shape.burstiness : 1,
      maxConcurrency: shape.type === 'open' ? shape.maxConcurrency : shape.concurrency,
      maxRunning: result.maxRunning,
      lastSentAt: result.lastSentAt,
      models: models.items.map(asOneLine),
      tenants: tenantMix?.items.map(({ name }, index) => ({ name, users: users?.[index] ?? null })) ?? [],
      keepsTexts: this.#options.keepsTexts
    })
    this.#observer.onRunEnd(run)
    return run
  }

  /** Requests that do not count: connections are opened, code is compiled, on both sides. */
  async warmUp (): Promise<void> {
    const { plan, seed, warmup } = this.#options
    const shape = plan.type === 'given' ? plan.shapes[0] : undefined
    const concurrency = Math.min(16, shape?.type === 'closed' ? shape.concurrency : 16)
    const count = warmup ?? concurrency
    if (count === 0) return
    for (const server of this.#servers) {
      await runLoad({
        shape: { type: 'closed', concurrency: Math.min(concurrency, count) },
        limit: { type: 'requests', count },
        workload: this.#workload,
        models: createMix('round-robin', server.models, seed),
        tenants: this.#options.tenants.length === 0 ? null : weightedMix(this.#options.tenants, this.#options.tenants.map(() => 1), seed),
        seed,
        firstConversation: warmupConversations,
        send: server.send,
        clock: now,
        onProgress: () => {},
        signal: this.#signal
      })
    }
  }
}

/** Enough for percentiles to mean something, without an hour of waiting. */
export function defaultLimit (shape: LoadShape): RunLimit {
  const count = shape.type === 'closed' ? 10 * shape.concurrency : shape.rate === Infinity ? 100 : Math.ceil(30 * shape.rate)
  return { type: 'requests', count: Math.max(50, count) }
}
