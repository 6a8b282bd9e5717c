import { setMaxListeners } from 'node:events'
import { BenchServer, now } from '../../src/bench/bench-server.ts'
import { calibrate } from '../../src/bench/calibrate.ts'
import { createWorkload } from '../../src/bench/create-workload.ts'
import type { LoadShape, RunLimit } from '../../src/bench/load/load-shape.ts'
import { runLoad, type LoadResult } from '../../src/bench/load/run-load.ts'
import { itlsOf, ttftOf } from '../../src/bench/measure/request-record.ts'
import type { BenchOptions } from '../../src/bench/parse-options.ts'
import { createMix } from '../../src/bench/workload/mix.ts'
import { conversationsPerRun, type Workload } from '../../src/bench/workload/workload.ts'
import { benchOptions } from '../support/bench-options.ts'

/** What one user felt of a request. */
export interface Felt {
  readonly ttftMs: number
  readonly itlMs: readonly number[]
}

export interface Questions {
  /** As `drawbridge bench` takes them: a number, or how they differ. */
  readonly inputTokens: string
  readonly outputTokens: string
  readonly seed: number
}

/** OpenAI's names for the two kinds of service. */
export const [interactive, batch] = ['priority', 'flex'] as const

type Tier = typeof interactive | typeof batch

/** Those who wait for an answer, and those who do not, at one server. */
export class Users implements Disposable {
  readonly #servers: Readonly<Record<Tier, BenchServer>>
  readonly #workload: Workload
  readonly #seed: number
  /** No load asks what another one has put into a cache. */
  #loads = 0

  private constructor (servers: Readonly<Record<Tier, BenchServer>>, workload: Workload, seed: number) {
    this.#servers = servers
    this.#workload = workload
    this.#seed = seed
  }

  /** @throws StartupError when the server does not answer. */
  static async connect (url: string, { inputTokens, outputTokens, seed }: Questions, signal: AbortSignal): Promise<Users> {
    const optionsOf = (tier: Tier): BenchOptions => benchOptions([
      `${url}/v1`, '--input-tokens', inputTokens, '--output-tokens', outputTokens, '--extra-body', JSON.stringify({ service_tier: tier })
    ])
    const connect = async (options: BenchOptions): Promise<BenchServer> => await BenchServer.connect(options.servers[0]!, options, signal)
    const options = optionsOf(interactive)
    const servers = { [interactive]: await connect(options), [batch]: await connect(optionsOf(batch)) }
    const workload = createWorkload(options, await calibrate(servers[interactive], options, signal))
    return new Users(servers, workload, seed)
  }

  /** Since the server's start. */
  async generatedTokens (): Promise<number> {
    const count = (await this.#servers[batch].sampleMetrics())?.get('vllm:generation_tokens_total')
    if (count === undefined) throw new Error('The server does not tell how many tokens it has generated')
    return count
  }

  /**
   * Keeps so many batch calls under way until `work` is done.
   * @throws Error when one failed.
   */
  async whileBusy<Result> (calls: number, work: () => Promise<Result>): Promise<Result> {
    const controller = new AbortController()
    const load = this.#run(batch, { type: 'closed', concurrency: calls }, { type: 'duration', ms: Infinity }, 0, controller.signal)
    // Its error is thrown below; until then it is not unhandled.
    load.catch(() => {})
    try {
      return await work()
    } finally {
      controller.abort()
      await load
    }
  }

  /**
   * Requests at random times, which are the same for the same round.
   * @param settleMs what is sent before that does not count.
   * @throws Error when a request failed.
   */
  async interactive (rate: number, durationMs: number, settleMs: number, round: number, signal: AbortSignal): Promise<readonly Felt[]> {
    const shape = { type: 'open', rate, burstiness: 1, ramp: null, maxConcurrency: null } as const
    const { records } = await this.#run(interactive, shape, { type: 'duration', ms: durationMs }, round, signal)
    signal.throwIfAborted()
    return records.filter(({ sentAt }) => sentAt >= settleMs).map((record) => ({ ttftMs: ttftOf(record) ?? NaN, itlMs: itlsOf(record) }))
  }

  async #run (tier: Tier, shape: LoadShape, limit: RunLimit, round: number, signal: AbortSignal): Promise<LoadResult> {
    setMaxListeners(0, signal)
    const server = this.#servers[tier]
    const result = await runLoad({
      shape,
      limit,
      workload: this.#workload,
      models: createMix('round-robin', server.models, 0),
      tenants: null,
      seed: this.#seed + round,
      firstConversation: ++this.#loads * conversationsPerRun,
      send: server.send,
      clock: now,
      onProgress: () => {},
      signal
    })
    const failure = result.records.find((record) => record.failure !== null)?.failure
    if (failure != null) throw new Error(`A ${tier} request has failed: ${failure.kind}: ${failure.message}`)
    return result
  }

  [Symbol.dispose] (): void {
    for (const server of Object.values(this.#servers)) server[Symbol.dispose]()
  }
}
