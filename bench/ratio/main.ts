import { parseArgs } from 'node:util'
import { configSchema } from '../../src/config/config.ts'
import { inspectMachine } from '../../src/models/machine.ts'
import { prepareModels } from '../../src/models/prepare-models.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { wholeNumber, wholeNumbers } from '../support/whole-number.ts'
import { layerNames } from './layer.ts'
import { LayerHandle, type LayerSample } from './layer-handle.ts'
import { formatReport, summarize, type LayerRow } from './report.ts'

const help = `Usage: npm run bench:ratio -- [options]

Compares the rate at which the engine decodes with the rate that arrives at a client: the engine alone, then with the
scheduler, with the engine process and its IPC, and with the whole server over HTTP. All four decode the same greedy
tokens on the CPU, one after the other, again and again; ratios are taken within a repetition.

  --model REF          GGUF file or demo (default demo)
  --streams LIST       streams at a time (default 1,8)
  --tokens N           tokens of each stream (default 256)
  --repetitions N      runs of each way; the ways take turns (default 5)
  --seconds N          least length of one run (default 2)
  --threads N          threads of each engine (default: as the server chooses)
  --save               write bench/reports/ratio-N-threads-DATE-COMMIT.json
  --help

At the defaults it takes about two minutes on a quiet machine; it never goes on for more than half an hour. bench/README.md says how to read the numbers.`

const prompt = 'Once upon a time there was a little bridge that could count. It said: one, two, three,'

async function run (signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'demo' },
      streams: { type: 'string', default: '1,8' },
      tokens: { type: 'string', default: '256' },
      repetitions: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      threads: { type: 'string' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const streamCounts = wholeNumbers(values.streams, '--streams', 64)
  const tokens = wholeNumber(values.tokens, '--tokens', 100_000)
  const repetitions = wholeNumber(values.repetitions, '--repetitions', 50)
  const seconds = wholeNumber(values.seconds, '--seconds', 60)
  const threads = values.threads === undefined ? 'auto' : wholeNumber(values.threads, '--threads', 512)

  const machine = describeMachine()
  console.log(machineLine(machine))

  // Whatever the server would choose, all four have the same.
  const slots = Math.max(...streamCounts)
  const contextSize = tokens + 128
  const config = configSchema.parse({
    models: [{ ref: values.model, alias: 'demo' }], gpu: 'off', lanes: 1, slots, contextSize, threads
  })
  const [prepared] = await prepareModels(config, await inspectMachine({ withGpu: false }), (flag) => `--${flag}`)
  if (prepared?.engine.backend !== 'llama-cpp') throw new Error('--model must be a GGUF file or demo')
  const engine = prepared.engine.options
  console.log(`${values.model} · ${slots} slots of ${contextSize} tokens in one lane · ${engine.threads} threads · ${tokens} tokens per stream`)

  const flags = [
    '--model', values.model, '--alias', 'demo', '--gpu', 'off', '--lanes', '1', '--slots', String(slots),
    '--context-size', String(contextSize), '--threads', String(engine.threads)
  ]
  await using server = await ServerProcess.start({ flags })
  const handles: LayerHandle[] = []
  try {
    for (const name of layerNames) handles.push(await LayerHandle.open(name, { engine, prompt, url: server.url }, server))
    const rows = await takeTurns(handles, { streamCounts, tokens, repetitions, seconds, signal })
    console.log(formatReport(rows))
    if (!values.save) return
    const file = saveReport(`ratio-${engine.threads}-threads`, machine, {
      benchmark: 'ratio',
      settings: { model: values.model, streams: streamCounts, tokens, repetitions, seconds, threads: engine.threads, slots, contextSize },
      summary: summarize(rows),
      rows: rows.map(({ samples, ...row }) => ({ ...row, samples: samples.map(({ texts: _, ...sample }) => sample) }))
    })
    console.log(`\nSaved as ${file}`)
  } finally {
    for (const handle of handles.toReversed()) await handle[Symbol.asyncDispose]()
  }
}

interface TurnOptions {
  readonly streamCounts: readonly number[]
  readonly tokens: number
  readonly repetitions: number
  readonly seconds: number
  readonly signal: AbortSignal
}

/** Every way with every number of streams once, then all of them again. */
async function takeTurns (handles: readonly LayerHandle[], options: TurnOptions): Promise<readonly LayerRow[]> {
  const { tokens, repetitions, seconds, signal } = options
  const rows = options.streamCounts.flatMap((streams) =>
    handles.map((handle) => ({ handle, layer: handle.name, streams, samples: [] as LayerSample[] })))
  // Once without the clock: caches of prompts, compilers of JavaScript.
  for (const { handle, streams } of rows) await handle.run({ streams, tokens }, 0.5, signal)
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    if (process.stderr.isTTY) process.stderr.write(`\rrepetition ${repetition} of ${repetitions} `)
    for (const { handle, streams, samples } of rows) samples.push(await handle.run({ streams, tokens }, seconds, signal))
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1B[K')
  return rows.map(({ layer, streams, samples }) => ({ layer, streams, samples }))
}

await runBenchmark(run)
