import { parseArgs } from 'node:util'
import { describeMachine, machineLine } from '../support/machine.ts'
import { saveReport } from '../support/report-file.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { wholeNumber, wholeNumbers } from '../support/whole-number.ts'
import { BareProcess } from './bare-process.ts'
import { calibrate, measure, type MeasuredServer } from './measure.ts'
import { formatReport, summarize, tokenCosts, type Row } from './report.ts'
import { checkScenario, createScenarios, type Scenario } from './scenario.ts'

const help = `Usage: npm run bench:http -- [options]

Measures what the server itself costs: requests and streamed tokens through HTTP, access, chat, IPC, scheduler and step
loop, with the fake engine at zero latency, so that no time goes into a model. The server runs as a process of its own;
autocannon, in this one, keeps every connection busy. The first rows are a Fastify server without anything in it.

  --connections LIST   connections at a time (default 1,8,64)
  --tokens N           tokens of a long answer (default 64)
  --repetitions N      runs of each row; rows take turns (default 3)
  --seconds N          about the length of one run (default 2)
  --save               write bench/reports/http-DATE-COMMIT.json
  --profile FOLDER     write CPU profiles of the server and the engine process into FOLDER
  --help

At the defaults it takes some four minutes; it never goes on for more than half an hour. bench/README.md says how to read the numbers.`

async function run (signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: {
      connections: { type: 'string', default: '1,8,64' },
      tokens: { type: 'string', default: '64' },
      repetitions: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      save: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const connectionCounts = wholeNumbers(values.connections, '--connections', 1024)
  const tokens = wholeNumber(values.tokens, '--tokens', 4000)
  const repetitions = wholeNumber(values.repetitions, '--repetitions', 50)
  const seconds = wholeNumber(values.seconds, '--seconds', 60)
  if (tokens < 2) throw new Error('--tokens must be at least 2')

  const machine = describeMachine()
  console.log(machineLine(machine))

  // A slot for every connection: what is measured is the way through the server, not a queue.
  const slots = Math.min(256, Math.max(...connectionCounts))
  const flags = [
    '--model', 'fake', '--fake-step-ms', '0', '--fake-decode-token-ms', '0', '--fake-prefill-token-ms', '0',
    '--slots', String(slots), '--context-size', '8192', '--step-tokens', String(Math.max(512, slots)),
    '--max-queue', '2048'
  ]
  await using server = await ServerProcess.start({ flags, profileFolder: values.profile })
  await using bare = await BareProcess.start()
  const serverOf = ({ name }: Scenario): MeasuredServer => name === 'bare' ? bare : server
  const scenarios = createScenarios('fake', tokens)
  for (const scenario of scenarios) await checkScenario(serverOf(scenario).url, scenario)

  const rows = scenarios.flatMap((scenario) => connectionCounts.map((connections) =>
    ({ scenario, connections, samples: [] as Row['samples'][number][] })))
  const amounts: number[] = []
  for (const { scenario, connections } of rows) amounts.push(await calibrate(serverOf(scenario), scenario, connections, seconds, signal))
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    if (process.stderr.isTTY) process.stderr.write(`\rrepetition ${repetition} of ${repetitions} `)
    for (const [index, { scenario, connections, samples }] of rows.entries()) {
      samples.push(await measure(serverOf(scenario), scenario, {
        connections, amount: amounts[index] ?? connections, limitMs: seconds * 10_000, signal
      }))
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1B[K')

  const finished: readonly Row[] = rows.map(({ scenario, connections, samples }) =>
    ({ scenario: scenario.name, tokens: scenario.tokens, connections, samples }))
  console.log(formatReport(finished))
  if (values.save) {
    const file = saveReport('http', machine, {
      benchmark: 'http',
      settings: { connections: connectionCounts, tokens, repetitions, seconds, serverFlags: flags },
      summary: finished.map(summarize),
      tokenCosts: tokenCosts(finished),
      rows: finished
    })
    console.log(`\nSaved as ${file}`)
  }
  if (finished.some(({ samples }) => samples.some(({ errors }) => errors > 0))) {
    throw new Error('Some requests failed; see the errors column')
  }
}

await runBenchmark(run)
