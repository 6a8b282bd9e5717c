import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { formatNumber, formatTable, withRange } from '../../src/bench/report/table.ts'
import { spreadOf } from '../../src/bench/measure/spread.ts'
import { summarizeLatencies } from '../../src/bench/measure/latency-summary.ts'
import { parseLengths } from '../../src/bench/workload/length-distribution.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { wholeNumber } from '../support/whole-number.ts'
import { interactive, Users, type Felt } from './users.ts'

const help = `Usage: npm run bench:idle-time -- [options] [-- flags of drawbridge serve]

Does batch work fill the time that interactive requests leave, and what do they feel of it? Three phases take turns: batch work alone, as much as
the server takes; interactive requests at half of that beside it; the same interactive requests alone.

  --model REF          GGUF file or demo (default demo)
  --slots N            of the server (default 24)
  --batch-calls N      at a time (default twice the slots)
  --input-tokens N     of a prompt; a number, uniform:32-96 or lognormal:64 (default 64)
  --output-tokens N    of an answer (default uniform:24-72: answers of one length would come and go in waves)
  --rate R             interactive requests per second (default half of what the first phase of batch work came to)
  --seconds N          measured of each phase (default 60)
  --settle N           seconds of each phase before that (default 20)
  --rounds N           (default 3)
  --seed N             of arrivals and lengths (default 1)
  --save               write bench/reports/idle-time-DATE-COMMIT.json
  --help`

interface Round {
  /** Output tokens per second of batch work alone. */
  readonly batchAlone: number
  /** Of all, with interactive requests among them. */
  readonly together: number
  readonly beside: readonly Felt[]
  readonly alone: readonly Felt[]
}

interface Times { readonly settleMs: number, readonly measureMs: number }

/** Output tokens per second between the settling and the end of a phase. */
async function throughput (users: Users, { settleMs, measureMs }: Times, signal: AbortSignal): Promise<number> {
  await sleep(settleMs, undefined, { signal })
  const [before, startedAt] = [await users.generatedTokens(), performance.now()]
  await sleep(measureMs, undefined, { signal })
  return (await users.generatedTokens() - before) / (performance.now() - startedAt) * 1000
}

interface Course {
  readonly roundCount: number
  readonly batchCalls: number
  /** Of an answer, on average. */
  readonly outputTokens: number
  /** Interactive requests per second; null for half of what the first phase of batch work comes to. */
  readonly rate: number | null
  readonly times: Times
}

async function runRounds (users: Users, course: Course, signal: AbortSignal): Promise<{ rate: number, rounds: readonly Round[] }> {
  const { roundCount, batchCalls, outputTokens, times } = course
  let { rate } = course
  const phaseMs = times.settleMs + times.measureMs
  const arrivals = (round: number): Promise<readonly Felt[]> => users.interactive(rate ?? NaN, phaseMs, times.settleMs, round, signal)
  const measureBatch = async (round: number): Promise<number> => {
    const tokens = await throughput(users, times, signal)
    rate ??= tokens / outputTokens / 2
    console.log(`round ${round}: batch work alone ${formatNumber(tokens)} tokens/s`)
    return tokens
  }
  const measureBoth = async (round: number): Promise<{ together: number, beside: readonly Felt[] }> => {
    const [together, beside] = await Promise.all([throughput(users, times, signal), arrivals(round)])
    console.log(`round ${round}: with interactive requests ${formatNumber(together)} tokens/s`)
    return { together, beside }
  }
  const rounds: Round[] = []
  for (let round = 1; round <= roundCount; round++) {
    // There and back, so that what changes slowly falls on all phases.
    if (round % 2 === 1) {
      const withBatch = await users.whileBusy(batchCalls, async () => ({ batchAlone: await measureBatch(round), ...await measureBoth(round) }))
      rounds.push({ ...withBatch, alone: await arrivals(round) })
    } else {
      const alone = await arrivals(round)
      const withBatch = await users.whileBusy(batchCalls, async () => ({ ...await measureBoth(round), batchAlone: await measureBatch(round) }))
      rounds.push({ ...withBatch, alone })
    }
  }
  return { rate: rate ?? NaN, rounds }
}

async function run (signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: 'demo' },
      slots: { type: 'string', default: '24' },
      'batch-calls': { type: 'string' },
      'input-tokens': { type: 'string', default: '64' },
      'output-tokens': { type: 'string', default: 'uniform:24-72' },
      rate: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      settle: { type: 'string', default: '20' },
      rounds: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const slots = wholeNumber(values.slots, '--slots', 256)
  const batchCalls = values['batch-calls'] === undefined ? 2 * slots : wholeNumber(values['batch-calls'], '--batch-calls', 4096)
  const inputTokens = parseLengths(values['input-tokens'], '--input-tokens')
  const outputTokens = parseLengths(values['output-tokens'], '--output-tokens')
  const rate = values.rate === undefined ? null : Number(values.rate)
  if (rate !== null && !(rate > 0 && rate < Infinity)) throw new Error(`--rate is "${values.rate}", but must be a number above 0`)
  const times = { settleMs: wholeNumber(values.settle, '--settle', 600) * 1000, measureMs: wholeNumber(values.seconds, '--seconds', 600) * 1000 }
  const roundCount = wholeNumber(values.rounds, '--rounds', 100)
  const seed = wholeNumber(values.seed, '--seed', 0xffff_ffff)
  const machine = describeMachine()
  console.log(machineLine(machine))
  console.log(`${roundCount} rounds, about ${Math.ceil(roundCount * 3 * (times.settleMs + times.measureMs) / 60_000)} minutes`)
  await using server = await ServerProcess.start({
    flags: [
      '--model', values.model, '--slots', String(slots), '--context-size', String(Math.max(1024, Math.ceil(2 * (inputTokens.mean + outputTokens.mean)))),
      '--max-queue', String(2 * batchCalls + 1024), ...positionals
    ]
  })
  using users = await Users.connect(server.url, { inputTokens: inputTokens.text, outputTokens: outputTokens.text, seed }, signal)
  const result = await runRounds(users, { roundCount, batchCalls, outputTokens: outputTokens.mean, rate, times }, signal)
  const { rounds } = result
  const of = (name: 'beside' | 'alone') => {
    const felt = rounds.flatMap((round) => round[name])
    return { ttft: summarizeLatencies(felt.map(({ ttftMs }) => ttftMs)), itl: summarizeLatencies(felt.flatMap(({ itlMs }) => itlMs)) }
  }
  const [beside, alone] = [of('beside'), of('alone')]
  const row = (name: string, withBatch: number, without: number): string[] => [name, formatNumber(withBatch), formatNumber(without), formatNumber(withBatch / without)]
  console.log(`\n${formatTable([`${interactive}, ${formatNumber(result.rate)}/s`, 'beside batch work', 'without', 'ratio'], [
    row('TTFT p50, ms', beside.ttft.p50, alone.ttft.p50),
    row('TTFT p90, ms', beside.ttft.p90, alone.ttft.p90),
    row('TTFT p99, ms', beside.ttft.p99, alone.ttft.p99),
    row('ITL p50, ms', beside.itl.p50, alone.itl.p50),
    row('ITL p99, ms', beside.itl.p99, alone.itl.p99),
    ['answers', String(beside.ttft.count), String(alone.ttft.count), '']
  ])}`)
  const [saturated, together] = [rounds.map(({ batchAlone }) => batchAlone), rounds.map(({ together }) => together)]
  console.log(`\nOutput tokens/s of all: ${withRange(spreadOf(together))} of ${withRange(spreadOf(saturated))} with batch work alone: ` +
    withRange(spreadOf(rounds.map(({ batchAlone, together }) => together / batchAlone))))
  if (values.save) console.log(`\nSaved as ${saveReport('idle-time', machine, { benchmark: 'idle-time', settings: { ...values, serverFlags: positionals }, ...result })}`)
}

await runBenchmark(run)
