import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { describeMachine, machineLine } from '../support/machine.ts'
import { runBenchmark } from '../support/run-benchmark.ts'
import { ServerProcess } from '../support/server-process.ts'
import { benchFlagsOf, scenarios, type Scenario } from './scenarios.ts'

const help = `Usage: npm run bench:serve -- [options] [-- flags of drawbridge bench]

Starts a server for each named scenario and runs drawbridge bench against it.

${scenarios.map(({ name, question }) => `  ${name.padEnd(16)} ${question}`).join('\n')}

  --scenario LIST      which of them (default all)
  --model REF          GGUF file, demo or fake (default demo)
  --threads N          threads of the engine (default: as the server chooses)
  --vs URL             another server beside it, in turn
  --save               write bench/reports/serve-SCENARIO-DATE-COMMIT.json and .html
  --help`

async function run (signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      scenario: { type: 'string', default: scenarios.map(({ name }) => name).join(',') },
      model: { type: 'string', default: 'demo' },
      threads: { type: 'string' },
      vs: { type: 'string' },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) {
    console.log(help)
    return
  }
  const chosen = values.scenario.split(',').map((name) => {
    const scenario = scenarios.find((known) => known.name === name.trim())
    if (scenario === undefined) throw new Error(`--scenario is "${name}", but must be of ${scenarios.map((known) => known.name).join(', ')}`)
    return scenario
  })
  const machine = describeMachine()
  console.log(machineLine(machine))
  const suffix = `${machine.date.slice(0, 10)}-${machine.commit?.slice(0, 7) ?? 'no-commit'}`
  for (const scenario of chosen) {
    signal.throwIfAborted()
    console.log(`\n${scenario.name}: ${scenario.question}`)
    const serverFlags = ['--model', values.model, ...scenario.serverFlags, ...(values.threads === undefined ? [] : ['--threads', values.threads])]
    await using server = await ServerProcess.start({ flags: serverFlags })
    const compared = values.vs === undefined ? [] : ['--label', 'drawbridge', '--vs', values.vs]
    await bench(scenario, server.url, [...compared, ...positionals, ...(values.save ? reportFlags(scenario, suffix) : [])], signal)
  }
}

/** This file runs as dist/bench/serve/main.js. */
const root = path.resolve(import.meta.dirname, '../../..')

function reportFlags ({ name }: Scenario, suffix: string): readonly string[] {
  const folder = path.join(root, 'bench/reports')
  mkdirSync(folder, { recursive: true })
  return ['json', 'html'].flatMap((type) => [`--${type}`, path.join(folder, `serve-${name}-${suffix}.${type}`)])
}

async function bench (scenario: Scenario, url: string, flags: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [path.join(root, 'dist/src/cli/main.js'), 'bench', url, ...benchFlagsOf(scenario, flags), ...flags], {
    stdio: 'inherit',
    // A Ctrl+C of the terminal must reach it once: the second one would end it without a report.
    detached: true
  })
  // Interrupted, it reports what it has.
  const interrupt = (): void => { child.kill('SIGINT') }
  signal.addEventListener('abort', interrupt, { once: true })
  const [code] = await once(child, 'exit') as [number | null]
  signal.removeEventListener('abort', interrupt)
  if (code !== 0) throw new Error(`${scenario.name} ended with ${code ?? 'a signal'}`)
}

await runBenchmark(run)
