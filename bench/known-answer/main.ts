import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { BenchRun } from '../../src/bench/report/bench-run.ts'
import { formatTable } from '../../src/bench/report/table.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ScriptedServer, type Script } from './scripted-server.ts'

/*
 * Is what `drawbridge bench` reports true? It is run, as users run it, against a server whose times are known. Requests come in ten
 * sorts: the first token after 100, 110, … 190 ms, the others 20 ms apart. So all percentiles can be worked out by hand.
 */
const tokens = 16
const gapMs = 20
const requests = 100
const toleranceMs = 2
/** Those of the calibration come first. */
const probes = 2

const ttftOf = (sort: number): number => 100 + 10 * sort
const e2elOf = (sort: number): number => ttftOf(sort) + (tokens - 1) * gapMs

/** Linear between neighbours, over equally frequent values. */
function expectedPercentile (share: number, valueOf: (sort: number) => number): number {
  const values = Array.from({ length: requests }, (_, index) => valueOf(Math.floor(index / (requests / 10))))
  const position = share * (values.length - 1)
  const below = values[Math.floor(position)] ?? 0
  return below + ((values[Math.ceil(position)] ?? 0) - below) * (position % 1)
}

async function bench (url: string, ...flags: readonly string[]): Promise<BenchRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-bench-'))
  try {
    const file = path.join(folder, 'run.json')
    // This file runs as dist/bench/known-answer/main.js.
    const main = path.resolve(import.meta.dirname, '../../src/cli/main.js')
    await promisify(execFile)(process.execPath, [main, 'bench', url, '--warmup', '0', '--json', file, ...flags])
    return JSON.parse(readFileSync(file, 'utf8')) as BenchRun
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @returns whether all was right. */
async function checkTimes (): Promise<boolean> {
  await using server = await ScriptedServer.start((number): Script => ({ ttftMs: ttftOf((number - probes + 10) % 10), gapMs, tokens }))
  const run = await bench(server.url, '--requests', String(requests), '--concurrency', '4')
  const rows = (['ttft', 'tpot', 'itl', 'e2el'] as const).flatMap((latency) => ([50, 90, 95, 99] as const).map((percent) => {
    const valueOf = { ttft: ttftOf, tpot: () => gapMs, itl: () => gapMs, e2el: e2elOf }[latency]
    const expected = expectedPercentile(percent / 100, valueOf)
    const reported = run[`p${percent}_${latency}_ms`]
    return { name: `p${percent} ${latency}`, expected, reported, isRight: Math.abs(reported - expected) <= toleranceMs }
  }))
  console.log(formatTable(['ms', 'true', 'reported', 'off by', `within ${toleranceMs}`], rows.map(({ name, expected, reported, isRight }) =>
    [name, expected.toFixed(2), reported.toFixed(2), (reported - expected).toFixed(2), isRight ? 'yes' : 'NO'])))
  const words = run.drawbridge.generator
  console.log(`${run.completed} completed, ${run.failed} failed; the generator used ${words.cores.toFixed(2)} cores\n`)
  return rows.every(({ isRight }) => isRight) && run.completed === requests
}

/** Nine in ten requests fail, each in another way; the tenth's times must be as if nothing was wrong. */
async function checkFaults (): Promise<boolean> {
  const faults = ['http 500', 'too many requests', 'error in stream', 'cut off', 'reset', 'stall'] as const
  await using server = await ScriptedServer.start((number): Script => {
    const fault = number < probes ? undefined : faults[(number - probes) % 10]
    return { ttftMs: 100, gapMs, tokens, ...(fault === undefined ? {} : { fault }) }
  })
  const run = await bench(server.url, '--requests', '50', '--concurrency', '5', '--stall-timeout', '1s')
  console.log(formatTable(['failed', 'requests', 'expected'], run.drawbridge.errors.map(({ kind, count }) => [kind, String(count), '5'])))
  const kinds = ['connection reset', 'cut off', 'error in stream engine_crashed', 'http 429 queue_full', 'http 500 engine_error', 'stalled']
  const found = run.drawbridge.errors.filter(({ count }) => count === 5).map(({ kind }) => kind).sort()
  const isTtftRight = Math.abs(run.p50_ttft_ms - 100) <= toleranceMs && Math.abs(run.p50_itl_ms - gapMs) <= toleranceMs
  console.log(`${run.completed} completed; their median TTFT is ${run.p50_ttft_ms.toFixed(2)} ms, ITL ${run.p50_itl_ms.toFixed(2)} ms\n`)
  return isTtftRight && run.completed === 20 && found.join() === kinds.join()
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
