import type { Metric, Registry } from 'prom-client'
import { GapCounts, gapBucketsSeconds } from './gap-counts.ts'

interface HistogramValue {
  readonly value: number
  readonly labels: Record<string, string | number>
  readonly metricName: string
}

/**
 * A histogram that takes counts made elsewhere, which prom-client's own cannot: that one costs a hash of its labels for
 * every observation, and there is one observation per token.
 */
export class GapHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #countsByModel = new Map<string, GapCounts>()

  constructor (options: { readonly name: string, readonly help: string, readonly registry: Registry }) {
    this.name = options.name
    this.help = options.help
    options.registry.registerMetric(this as unknown as Metric)
  }

  merge (model: string, gaps: GapCounts): void {
    let counts = this.#countsByModel.get(model)
    if (counts === undefined) {
      counts = new GapCounts()
      this.#countsByModel.set(model, counts)
    }
    counts.merge(gaps)
  }

  /** Called by the registry. */
  async get () {
    const values: HistogramValue[] = []
    for (const [model, { counts, sumMs, count }] of this.#countsByModel) {
      let below = 0
      for (const [bucket, seconds] of gapBucketsSeconds.entries()) {
        below += counts[bucket] ?? 0
        values.push({ metricName: `${this.name}_bucket`, labels: { le: seconds, model_name: model }, value: below })
      }
      values.push({ metricName: `${this.name}_bucket`, labels: { le: '+Inf', model_name: model }, value: count })
      values.push({ metricName: `${this.name}_sum`, labels: { model_name: model }, value: sumMs / 1000 })
      values.push({ metricName: `${this.name}_count`, labels: { model_name: model }, value: count })
    }
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values }
  }

  /** Called by the registry. */
  reset (): void {
    this.#countsByModel.clear()
  }
}
