import { parseArgs } from 'node:util'
import { BenchServer } from '../../src/bench/bench-server.ts'
import { calibrate } from '../../src/bench/calibrate.ts'
import { createWorkload } from '../../src/bench/create-workload.ts'
import { summarizeLatencies } from '../../src/bench/measure/latency-summary.ts'
import { spreadOf } from '../../src/bench/measure/spread.ts'
import { formatTable, withRange } from '../../src/bench/report/table.ts'
import { benchOptions } from '../support/bench-options.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { wholeNumber } from '../support/whole-number.ts'
import { tryCrowd, type Trial } from './trial.ts'

const help = `Usage: npm run bench:freeze -- [options] [-- flags of drawbridge serve]

Do streams stop while long prompts are read, and how long do the prompts wait? Some streams flow, then several long prompts come at once.

  --model REF          GGUF file or demo (default demo)
  --slots N            of the server (default 8)
  --streams N          (default 4)
  --stream-tokens N    of each stream's answer: enough to last until all prompts are read (default 400)
  --prompts N          (default 4)
  --prompt-tokens N    of each, about (default 1500)
  --rounds N           the servers take turns (default 2)
  --vs URL             another server beside it, with the same model, slots and context
  --save               write bench/reports/freeze-DATE-COMMIT.json
  --help`

const streamInputTokens = 32
/** Of the streams that are tried first, to know how long it takes until all flow. */
const leadTokens = 16
/** Of the prompts' own answers. */
const promptAnswerTokens = 8

interface Row {
  readonly server: BenchServer
  readonly trials: Trial[]
}

async function run (signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: 'demo' },
      slots: { type: 'string', default: '8' },
      streams: { type: 'string', default: '4' },
      'stream-tokens': { type: 'string', default: '400' },
      prompts: { type: 'string', default: '4' },
      'prompt-tokens': { type: 'string', default: '1500' },
      rounds: { type: 'string', default: '2' },
      vs: { type: 'string' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const slots = wholeNumber(values.slots, '--slots', 256)
  const streams = wholeNumber(values.streams, '--streams', 256)
  const prompts = wholeNumber(values.prompts, '--prompts', 256)
  const promptTokens = wholeNumber(values['prompt-tokens'], '--prompt-tokens', 100_000)
  const streamTokens = wholeNumber(values['stream-tokens'], '--stream-tokens', 100_000)
  const rounds = wholeNumber(values.rounds, '--rounds', 50)
  const machine = describeMachine()
  console.log(machineLine(machine))
  // Prompts come out a tenth longer than asked for, at most.
  const contextSize = Math.max(1.2 * promptTokens + promptAnswerTokens, streamTokens + 2 * streamInputTokens + 128)
  await using ours = await ServerProcess.start({
    flags: ['--model', values.model, '--slots', String(slots), '--context-size', String(2 ** Math.ceil(Math.log2(contextSize))), ...positionals]
  })
  const optionsOf = (inputTokens: number, outputTokens: number) => benchOptions([
    ours.url, '--label', 'drawbridge', ...(values.vs === undefined ? [] : ['--vs', values.vs, '--vs-label', 'other']),
    '--input-tokens', String(inputTokens), '--output-tokens', String(outputTokens)
  ])
  const streamOptions = optionsOf(streamInputTokens, streamTokens)
  const rows: Row[] = []
  try {
    for (const server of streamOptions.servers) rows.push({ server: await BenchServer.connect(server, streamOptions, signal), trials: [] })
    // Each server is asked the same.
    const scale = await calibrate(rows[0]!.server, streamOptions, signal)
    const crowd = {
      streams,
      prompts,
      leadWorkload: createWorkload(optionsOf(streamInputTokens, leadTokens), scale),
      streamWorkload: createWorkload(streamOptions, scale),
      promptWorkload: createWorkload(optionsOf(promptTokens, promptAnswerTokens), scale)
    }
    for (let number = 1; number <= rounds; number++) {
      for (const { server, trials } of rows) {
        const trial = await tryCrowd(server, { ...crowd, number }, signal)
        trials.push(trial)
        console.log(`round ${number}, ${server.label}: longest gap ${Math.round(trial.longestGapMs)} ms, TTFT ${trial.ttftMs.map(Math.round).join(', ')} ms, ` +
          `${Math.round(trial.promptTokens)} tokens each`)
      }
    }
  } finally {
    for (const { server } of rows) server[Symbol.dispose]()
  }
  console.log(`\n${formatReport(rows)}`)
  if (!values.save) return
  console.log(`\nSaved as ${saveReport('freeze', machine, {
    benchmark: 'freeze',
    settings: { ...values, serverFlags: positionals },
    rows: rows.map(({ server, trials }) => ({ server: server.label, trials }))
  })}`)
}

const figures: readonly (readonly [name: string, of: (trial: Trial) => number])[] = [
  ['longest gap in a stream, ms', ({ longestGapMs }) => longestGapMs],
  ['TTFT of the prompts on average, ms', ({ ttftMs }) => summarizeLatencies(ttftMs).mean],
  ['TTFT of the last, ms', ({ ttftMs }) => ttftMs.at(-1)!]
]

/** Ratios are taken within a round. */
function formatReport (rows: readonly Row[]): string {
  const [ours, other] = rows
  return formatTable(['', ...rows.map(({ server }) => server.label), ...(other === undefined ? [] : ['ratio'])], figures.map(([name, of]) => [
    name,
    ...rows.map(({ trials }) => withRange(spreadOf(trials.map(of)))),
    ...(other === undefined ? [] : [withRange(spreadOf(ours!.trials.map((trial, round) => of(trial) / of(other.trials[round]!))))])
  ]))
}

await runBenchmark(run)
