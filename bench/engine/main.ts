import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { configSchema } from '../../src/config/config.ts'
import { createLlamaCppEngine } from '../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { threadPoolSize } from '../../src/engine/llama-cpp/thread-pool-size.ts'
import { waitPolicy } from '../../src/engine/llama-cpp/wait-policy.ts'
import { inspectMachine } from '../../src/models/machine.ts'
import { prepareModels } from '../../src/models/prepare-models.ts'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { spreadOf } from '../../src/bench/measure/spread.ts'
import { formatNumber, formatTable, withRange } from '../../src/bench/report/table.ts'
import { wholeNumber, wholeNumbers } from '../support/whole-number.ts'
import { measure, type Rates } from './measure.ts'
import { describeCosts, fitCosts, measureSteps } from './step-costs.ts'

const help = `Usage: npm run bench:engine -- [options]

Measures how fast the engine decodes and reads prompts by itself: no scheduler, no detokenizer, no HTTP.

  --model REF          GGUF file or demo (default demo)
  --batches LIST       sequences that decode together (default 1,2,4,8,16,32)
  --prompt-tokens N    tokens of each prompt (default 128)
  --answer-tokens N    tokens of each answer (default 64)
  --repetitions N      runs of each batch size; they take turns (default 5)
  --threads N          threads of the lane (default: as the server chooses)
  --gpu MODE           off, auto, cuda, vulkan or metal (default off)
  --costs FILE         measure mixed steps instead, with up to the most of --batches that decode beside a prompt, and write what
                       decodes and prompt tokens cost, for npm run simulate -- --costs FILE
  --native-build MODE  auto or off: whether to use the llama.cpp that npm run build:native made (default auto)
  --save               write bench/reports/engine-DATE-COMMIT.json
  --calibrate MODE     auto or off: whether a measurement chooses threads (unless given) and attention first (default auto)
  --help`

interface Row {
  readonly batchSize: number
  readonly runs: readonly Rates[]
}

async function run (signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'demo' },
      batches: { type: 'string', default: '1,2,4,8,16,32' },
      'prompt-tokens': { type: 'string', default: '128' },
      'answer-tokens': { type: 'string', default: '64' },
      repetitions: { type: 'string', default: '5' },
      threads: { type: 'string' },
      gpu: { type: 'string', default: 'off' },
      costs: { type: 'string' },
      calibrate: { type: 'string', default: 'auto' },
      'native-build': { type: 'string', default: 'auto' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const batchSizes = wholeNumbers(values.batches, '--batches', 256)
  const promptTokens = wholeNumber(values['prompt-tokens'], '--prompt-tokens', 100_000)
  const answerTokens = wholeNumber(values['answer-tokens'], '--answer-tokens', 100_000)
  const repetitions = wholeNumber(values.repetitions, '--repetitions', 50)
  const gpu = configSchema.shape.gpu.safeParse(values.gpu)
  if (!gpu.success) throw new Error(`--gpu is "${values.gpu}", but must be off, auto, cuda, vulkan or metal`)
  const calibrate = configSchema.shape.calibrate.safeParse(values.calibrate)
  if (!calibrate.success) throw new Error(`--calibrate is "${values.calibrate}", but must be auto or off`)
  const nativeBuild = configSchema.shape.nativeBuild.safeParse(values['native-build'])
  if (!nativeBuild.success) throw new Error(`--native-build is "${values['native-build']}", but must be auto or off`)

  const machine = describeMachine()
  console.log(machineLine(machine))
  const mostSequences = Math.max(...batchSizes)
  const config = configSchema.parse({
    models: [{ ref: values.model }],
    gpu: gpu.data,
    nativeBuild: nativeBuild.data,
    calibrate: calibrate.data,
    lanes: 1,
    slots: values.costs === undefined ? mostSequences : mostSequences + 1,
    contextSize: values.costs === undefined ? Math.max(16, promptTokens + answerTokens + 1) : Math.max(1024, promptTokens + 1),
    threads: values.threads === undefined ? 'auto' : wholeNumber(values.threads, '--threads', 512)
  })
  const [prepared] = await prepareModels(config, await inspectMachine({ withGpu: gpu.data !== 'off' }), (flag) => `--${flag}`)
  if (prepared?.engine.backend !== 'llama-cpp') throw new Error('--model must be a GGUF file or demo')
  await using engine = await createLlamaCppEngine({ ...prepared.engine.options, signal })
  const { build, placement, threads, flashAttention } = engine.info
  console.log(`${values.model} · ${build} · ${placement} · ${threads} ${threads === 1 ? 'thread' : 'threads'} · flash attention ${flashAttention ? 'on' : 'off'} · prompts of ${promptTokens} and answers of ${answerTokens} tokens`)

  const planIds = countUp()
  if (values.costs !== undefined) {
    const samples = await measureSteps(engine, { batchSize: mostSequences, contextTokens: promptTokens, threads, repetitions }, planIds, signal)
    const fit = fitCosts(samples)
    writeFileSync(values.costs, `${JSON.stringify({ drawbridge_costs: 1, model: values.model, build, placement, threads, machine, ...fit, samples }, null, 2)}\n`)
    console.log(`${describeCosts(fit)}\n\nSaved as ${values.costs}`)
    return
  }

  const rows = batchSizes.map((batchSize) => ({ batchSize, runs: [] as Rates[] }))
  // The first round warms up. Batch sizes take turns, so that a busy minute of the machine falls on all of them alike.
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    for (const { batchSize, runs } of rows) {
      signal.throwIfAborted()
      const rates = await measure(engine, { batchSize, promptTokens, answerTokens, threads }, planIds)
      if (repetition > 0) runs.push(rates)
    }
  }
  console.log(formatReport(rows))
  if (!values.save) return
  const file = saveReport('engine', machine, {
    benchmark: 'engine',
    settings: { model: values.model, build, placement, threads, flashAttention, promptTokens, answerTokens, repetitions },
    rows
  })
  console.log(`\nSaved as ${file}`)
}

function formatReport (rows: readonly Row[]): string {
  return formatTable(['sequences', 'decode tokens/s', 'ms per step', 'prompt tokens/s'], rows.map(({ batchSize, runs }) => {
    const decode = spreadOf(runs.map(({ decodeRate }) => decodeRate))
    const prompt = spreadOf(runs.map(({ promptRate }) => promptRate))
    return [String(batchSize), withRange(decode), formatNumber(batchSize / decode.median * 1000), withRange(prompt)]
  }))
}

function * countUp (): Generator<number> {
  for (let number = 1; ; number++) yield number
}

const isOnGpu = /--gpu[= ](?!off)/.test(process.argv.join(' '))
const wantedPool = String(threadPoolSize(1, { isOnGpu, cores: availableParallelism() }))
if (process.env['UV_THREADPOOL_SIZE'] === wantedPool) {
  await runBenchmark(run)
} else {
  // libuv reads the size of its pool once, before this line.
  const { status } = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit', env: { ...process.env, UV_THREADPOOL_SIZE: wantedPool, ...waitPolicy(process.env) }
  })
  process.exitCode = status ?? 1
}
