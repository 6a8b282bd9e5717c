import { setTimeout as sleep } from 'node:timers/promises'
import { now, type BenchServer } from '../../src/bench/bench-server.ts'
import type { Answer } from '../../src/bench/client/exchange.ts'
import { itlsOf, ttftOf } from '../../src/bench/measure/request-record.ts'
import type { Millis } from '../../src/domain/ids.ts'
import type { Workload } from '../../src/bench/workload/workload.ts'

/** Streams, and prompts that come while those are under way. */
export interface Crowd {
  readonly streams: number
  readonly prompts: number
  readonly streamWorkload: Workload
  readonly promptWorkload: Workload
  /** Like the streams, but shorter: as long as it takes, streams flow before the prompts come. */
  readonly leadWorkload: Workload
  /** Questions of another number are others, which no cache knows. */
  readonly number: number
}

/** What came of it. */
export interface Trial {
  /** Between two outputs of any stream, from its first to its last. */
  readonly longestGapMs: Millis
  /** Of each prompt, in the order of their first outputs. */
  readonly ttftMs: readonly Millis[]
  /** Of a prompt, on average, as the server counts them. */
  readonly promptTokens: number
}

/**
 * Lets streams flow, sends all the prompts at once, and waits for all answers.
 * @throws Error when a request failed, and when the streams did not last from before the prompts to the last one's first output.
 */
export async function tryCrowd (server: BenchServer, crowd: Crowd, signal: AbortSignal): Promise<Trial> {
  const ask = async (workload: Workload, count: number, first: number): Promise<readonly Answer[]> => {
    const answers = await Promise.all(Array.from({ length: count }, async (_, index) => {
      const turn = workload.conversation(first + index).next(null)
      if (turn === null) throw new RangeError('A conversation without a question')
      return await server.send(turn, { model: server.models[0]!, tenant: null }, signal)
    }))
    for (const { failure } of answers) if (failure !== null) throw new Error(`${server.label} has failed a request: ${failure.kind}: ${failure.message}`)
    return answers
  }
  const first = crowd.number * (2 * crowd.streams + crowd.prompts)
  const startedAt = now()
  await ask(crowd.leadWorkload, crowd.streams, first)
  const leadMs = now() - startedAt
  const streams = ask(crowd.streamWorkload, crowd.streams, first + crowd.streams)
  // Its error is thrown below; until then it is not unhandled.
  streams.catch(() => {})
  await sleep(leadMs, undefined, { signal })
  const prompts = await ask(crowd.promptWorkload, crowd.prompts, first + 2 * crowd.streams)
  return measure(server.label, await streams, prompts)
}

function measure (label: string, streams: readonly Answer[], prompts: readonly Answer[]): Trial {
  const sentAt = Math.min(...prompts.map((prompt) => prompt.sentAt))
  const lastFirstAt = Math.max(...prompts.map(({ outputTimes }) => outputTimes[0] ?? NaN))
  if (!streams.every(({ outputTimes }) => outputTimes[0]! < sentAt && outputTimes.at(-1)! > lastFirstAt)) {
    throw new Error(`Not every stream of ${label} lasted from before the prompts to the last one's first output: longer ones (--stream-tokens) may help`)
  }
  return {
    longestGapMs: Math.max(...streams.flatMap(itlsOf)),
    ttftMs: prompts.map((prompt) => ttftOf(prompt)!).toSorted((a, b) => a - b),
    promptTokens: prompts.reduce((sum, { inputTokens }) => sum + (inputTokens ?? NaN), 0) / prompts.length
  }
}
