import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { quantile } from '../../src/bench/measure/latency-summary.ts'
import type { BenchRun, LatencyName, percentiles } from '../../src/bench/report/bench-run.ts'
import { formatTable } from '../../src/bench/report/table.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ScriptedServer, type Script } from './scripted-server.ts'

/*
 * Is what `drawbridge bench` reports true? It is run, as users run it, against a server whose times are known. The first
 * token comes after 100, 101, … 199 ms, the others 20 ms apart. The server notes when it truly wrote each chunk, which
 * on a shared machine is not always when it should have; percentiles of that are what must be reported.
 */
const tokens = 16
const gapMs = 20
const requests = 100
const toleranceMs = 2
/** Those of the calibration, and the warm-up: on both sides, code that runs for the first time is slow. */
const warmup = 20
const before = 2 + warmup

const ttftOf = (request: number): number => 100 + request % requests
const scriptedTimes = (ttftMs: number): readonly number[] => Array.from({ length: tokens }, (_, token) => ttftMs + token * gapMs)

async function bench (url: string, ...flags: readonly string[]): Promise<BenchRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-bench-'))
  try {
    const file = path.join(folder, 'run.json')
    // This file runs as dist/bench/known-answer/main.js.
    const main = path.resolve(import.meta.dirname, '../../src/cli/main.js')
    await promisify(execFile)(process.execPath, [main, 'bench', url, '--json', file, ...flags])
    return JSON.parse(readFileSync(file, 'utf8')) as BenchRun
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @returns whether all was right. */
async function checkTimes (): Promise<boolean> {
  await using server = await ScriptedServer.start((number): Script => ({ ttftMs: ttftOf(number), gapMs, tokens }))
  const run = await bench(server.url, '--requests', String(requests), '--concurrency', '4', '--warmup', String(warmup))
  const scripted = Array.from({ length: requests }, (_, number) => scriptedTimes(ttftOf(number)))
  const areRight = compareTimes(run, scripted, server.written.slice(before), ['ttft', 'tpot', 'itl', 'e2el'], [50, 90, 95, 99])
  console.log(`${run.completed} completed, ${run.failed} failed; the generator used ${run.drawbridge.generator.cores.toFixed(2)} cores\n`)
  return areRight && run.completed === requests
}

/**
 * Prints percentiles as they were scripted, written and reported. @param written when the chunks of each stream truly left.
 * @returns whether what was reported is what was written.
 */
function compareTimes (run: BenchRun, scripted: readonly (readonly number[])[], written: readonly (readonly number[])[], latencies: readonly LatencyName[], percents: readonly (typeof percentiles[number])[]): boolean {
  const rows = latencies.flatMap((latency) => percents.map((percent) => {
    const percentileOf = (streams: readonly (readonly number[])[]): number =>
      quantile(streams.flatMap(latenciesOf[latency]).sort((a, b) => a - b), percent / 100)
    const truth = percentileOf(written)
    const reported = run[`p${percent}_${latency}_ms`]
    return { name: `p${percent} ${latency}`, asked: percentileOf(scripted), truth, reported, isRight: Math.abs(reported - truth) <= toleranceMs }
  }))
  console.log(formatTable(['ms', 'scripted', 'written', 'reported', 'off by', `within ${toleranceMs}`], rows.map(({ name, asked, truth, reported, isRight }) =>
    [name, asked.toFixed(2), truth.toFixed(2), reported.toFixed(2), (reported - truth).toFixed(2), isRight ? 'yes' : 'NO'])))
  return rows.every(({ isRight }) => isRight)
}

/** Of one stream, given when its chunks came, in ms since the request. */
const latenciesOf = {
  ttft: (times: readonly number[]) => times.slice(0, 1),
  tpot: (times: readonly number[]) => [((times.at(-1) ?? 0) - (times[0] ?? 0)) / (tokens - 1)],
  itl: (times: readonly number[]) => times.slice(1).map((time, index) => time - (times[index] ?? 0)),
  e2el: (times: readonly number[]) => times.slice(-1)
}

/** Six in ten requests fail, each in another way; the times of the others must be as if nothing was wrong. */
async function checkFaults (): Promise<boolean> {
  const faults = ['http 500', 'too many requests', 'error in stream', 'cut off', 'reset', 'stall'] as const
  await using server = await ScriptedServer.start((number): Script => {
    const fault = number < before ? undefined : faults[(number - before) % 10]
    return { ttftMs: 100, gapMs, tokens, ...(fault === undefined ? {} : { fault }) }
  })
  const run = await bench(server.url, '--requests', '50', '--concurrency', '5', '--warmup', String(warmup), '--stall-timeout', '1s')
  console.log(formatTable(['failed', 'requests', 'expected'], run.drawbridge.errors.map(({ kind, count }) => [kind, String(count), '5'])))
  const kinds = ['connection reset', 'cut off', 'error in stream engine_crashed', 'http 429 queue_full', 'http 500 engine_error', 'stalled']
  const found = run.drawbridge.errors.filter(({ count }) => count === 5).map(({ kind }) => kind).sort()
  // Streams that failed stopped half way.
  const whole = server.written.slice(before).filter((times) => times.length === tokens)
  const areRight = compareTimes(run, [scriptedTimes(100)], whole, ['ttft', 'itl'], [50])
  console.log(`${run.completed} completed\n`)
  return areRight && run.completed === 20 && found.join() === kinds.join()
}

/** As many chunks as the generator can take: a server that writes without a pause, on a core of its own. */
async function measureCeiling (): Promise<void> {
  const count = 400
  await using server = await ScriptedServer.start(() => ({ ttftMs: 0, gapMs: 0, tokens: count }))
  const run = await bench(server.url, '--requests', '400', '--concurrency', '16', '--output-tokens', String(count))
  const { chunks_per_second: rate, cores } = run.drawbridge.generator
  console.log(`Ceiling: ${Math.round(rate).toLocaleString('en-US')} chunks/s with ${cores.toFixed(2)} cores of the generator, ` +
    `${Math.round(cores / rate * 1e6 * 10) / 10} µs of CPU each`)
}

await runBenchmark(async () => {
  console.log(machineLine(describeMachine()))
  const areTimesRight = await checkTimes()
  const areFaultsRight = await checkFaults()
  await measureCeiling()
  if (!areTimesRight || !areFaultsRight) throw new Error('What was reported is not what was (is the machine busy?)')
})
