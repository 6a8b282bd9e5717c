import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { BenchRun } from '../../src/bench/report/bench-run.ts'
import { readRuns } from '../../src/bench/report/read-report.ts'
import { spreadOf } from '../../src/bench/measure/spread.ts'
import { formatNumber, formatTable, withRange } from '../../src/bench/report/table.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { wholeNumber } from '../support/whole-number.ts'

const help = `Usage: npm run bench:adapters -- [options] [-- flags of drawbridge bench]

What does it cost to use several adapters at the same time? Requests are spread evenly over so many of them; all are loaded all the time.

  --model REF          GGUF file or demo (default demo)
  --adapters LIST      GGUF files or PEFT folders, one for each adapter in turn (default: those of the demo model)
  --counts LIST        how many are in use at a time; 0 is the base model alone (default 0,1,2,4,8,16)
  --users N            requests at a time (default 16)
  --slots N            of the server, over all lanes (default 16)
  --threads N, --lanes N
                       of the engine (default: as the server chooses)
  --duration TIME      of each run (default 10s)
  --repetitions N      they take turns (default 3)
  --vs URL             another server beside it, which takes llama-server's "lora" field and has the same adapters in the same order
  --save               write bench/reports/adapters-DATE-COMMIT.json
  --help`

/** This file runs as dist/bench/adapters/main.js. */
const root = path.resolve(import.meta.dirname, '../../..')
const demoAdapters = ['pirate', 'shout', 'french'].map((name) => path.join(root, `models/demo/adapters/${name}.gguf`))

interface Row {
  readonly count: number
  readonly server: string
  readonly runs: BenchRun[]
}

async function run (signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: 'demo' },
      adapters: { type: 'string', default: demoAdapters.join(',') },
      counts: { type: 'string', default: '0,1,2,4,8,16' },
      users: { type: 'string', default: '16' },
      slots: { type: 'string', default: '16' },
      threads: { type: 'string' },
      lanes: { type: 'string' },
      duration: { type: 'string', default: '10s' },
      repetitions: { type: 'string', default: '3' },
      vs: { type: 'string' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const counts = values.counts.split(',').map((text) => text.trim() === '0' ? 0 : wholeNumber(text, '--counts', 256))
  const repetitions = wholeNumber(values.repetitions, '--repetitions', 50)
  const files = values.adapters.split(',').map((file) => path.resolve(file))
  const adapterCount = Math.max(1, ...counts)
  const machine = describeMachine()
  console.log(machineLine(machine))
  const serverFlags = [
    '--model', values.model, '--alias', 'base', '--slots', values.slots, '--context-size', '1024', '--max-queue', '1024', '--calibrate', 'off',
    ...Array.from({ length: adapterCount }, (_, index) => ['--adapter', `${nameOf(index)}=${files[index % files.length]!}`]).flat(),
    ...(values.threads === undefined ? [] : ['--threads', values.threads]),
    ...(values.lanes === undefined ? [] : ['--lanes', values.lanes])
  ]
  await using server = await ServerProcess.start({ flags: serverFlags })
  const labels = values.vs === undefined ? ['drawbridge'] : ['drawbridge', 'other']
  const rows: Row[] = counts.flatMap((count) => labels.map((label) => ({ count, server: label, runs: [] })))
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const count of counts) {
      signal.throwIfAborted()
      console.log(`repetition ${repetition + 1}, ${count === 0 ? 'no adapter' : count === 1 ? '1 adapter' : `${count} adapters`}`)
      const runs = await bench([
        server.url, '--label', 'drawbridge', ...(values.vs === undefined ? [] : ['--vs', values.vs, '--vs-label', 'other', '--repetitions', '1']),
        '--concurrency', values.users, '--duration', values.duration, '--input-tokens', '64', '--output-tokens', 'uniform:32-96',
        '--seed', String(repetition + 1), ...modelFlags(count, adapterCount), ...positionals
      ], signal)
      for (const row of rows) if (row.count === count) row.runs.push(...runs.filter((each) => each.drawbridge.server === row.server))
    }
  }
  console.log(`\n${formatReport(rows)}`)
  if (!values.save) return
  const file = saveReport('adapters', machine, {
    benchmark: 'adapters',
    settings: { ...values, adapters: files },
    rows: rows.map(({ count, server: label, runs }) => ({ count, server: label, runs: runs.map(figuresOf) }))
  })
  console.log(`\nSaved as ${file}`)
}

const nameOf = (index: number): string => `a${index + 1}`

/** Both servers are told in the same way, by the number of the adapter; all others are switched off. */
function modelFlags (count: number, adapterCount: number): readonly string[] {
  const names = count === 0 ? ['base'] : Array.from({ length: count }, (_, index) => nameOf(index))
  const bodies = names.map((name, used) => {
    const lora = Array.from({ length: adapterCount }, (_, id) => ({ id, scale: count > 0 && id === used ? 1 : 0 }))
    return ['--model-body', `${name}=${JSON.stringify({ model: 'base', lora })}`]
  })
  return ['--models', names.join(','), ...bodies.flat()]
}

async function bench (flags: readonly string[], signal: AbortSignal): Promise<readonly BenchRun[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-bench-'))
  try {
    const file = path.join(folder, 'report.json')
    const child = spawn(process.execPath, [path.join(root, 'dist/src/cli/main.js'), 'bench', ...flags, '--json', file], { stdio: ['ignore', 'ignore', 'inherit'] })
    const kill = (): void => { child.kill() }
    signal.addEventListener('abort', kill, { once: true })
    const [code] = await once(child, 'exit') as [number | null]
    signal.removeEventListener('abort', kill)
    signal.throwIfAborted()
    if (code !== 0 || readdirSync(folder).length === 0) throw new Error(`drawbridge bench ended with ${code ?? 'a signal'}`)
    return readRuns(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Of a run: rates in tokens per second, times in ms. */
const figuresOf = (run: BenchRun) => ({
  outputThroughput: run.output_throughput,
  ttftP50: run.p50_ttft_ms,
  ttftP99: run.p99_ttft_ms,
  /** Of the adapter that had it worst. */
  worstTtftP99: Math.max(...run.drawbridge.per_model.map(({ latencies }) => latencies.ttft.p99)),
  itlP50: run.p50_itl_ms,
  itlP99: run.p99_itl_ms,
  /** Jain's index of the adapters' output tokens; 1 for a single one. */
  fairness: run.drawbridge.fairness.models.output_tokens ?? 1,
  failed: run.failed
})

function formatReport (rows: readonly Row[]): string {
  const header = ['adapters', 'server', 'output tokens/s', 'TTFT p50', 'p99', 'worst p99', 'ITL p50', 'p99', 'Jain', 'failed']
  return formatTable(header, rows.map(({ count, server, runs }) => {
    const figures = runs.map(figuresOf)
    const median = (pick: (figure: ReturnType<typeof figuresOf>) => number): string => formatNumber(spreadOf(figures.map(pick)).median)
    return [
      count === 0 ? 'none' : String(count), server, withRange(spreadOf(figures.map(({ outputThroughput }) => outputThroughput))),
      median(({ ttftP50 }) => ttftP50), median(({ ttftP99 }) => ttftP99), median(({ worstTtftP99 }) => worstTtftP99),
      median(({ itlP50 }) => itlP50), median(({ itlP99 }) => itlP99),
      spreadOf(figures.map(({ fairness }) => fairness)).median.toFixed(3), String(figures.reduce((sum, { failed }) => sum + failed, 0))
    ]
  }))
}

await runBenchmark(run)
