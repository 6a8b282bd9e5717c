import { describe, expect, it } from 'vitest'
import { benchFlagsOf, scenarios } from '../../../bench/serve/scenarios.ts'
import { parseOptions } from '../../../src/bench/parse-options.ts'

describe('benchFlagsOf', () => {
  const scenario = { benchFlags: ['--rate', 'auto', '--duration', '10s', '--goodput', 'ttft:1000', 'tpot:100', '--prefixes', '4'] }

  it.each([
    [[], ['--rate', 'auto', '--duration', '10s', '--goodput', 'ttft:1000', 'tpot:100', '--prefixes', '4']],
    [['--goodput', 'ttft:1'], ['--rate', 'auto', '--duration', '10s', '--prefixes', '4']],
    [['--requests=5', '--prefixes', '9'], ['--rate', 'auto', '--goodput', 'ttft:1000', 'tpot:100']],
    [['--concurrency', '3'], ['--duration', '10s', '--goodput', 'ttft:1000', 'tpot:100', '--prefixes', '4']]
  ])('leaves out what %j says otherwise', (given, kept) => {
    expect(benchFlagsOf(scenario, given)).toEqual(kept)
  })
})

describe('scenarios', () => {
  it.each(scenarios)('$name is what drawbridge bench takes', (scenario) => {
    expect(parseOptions(scenario.benchFlags, {})).toMatchObject({ type: 'run' })
    expect(parseOptions([...benchFlagsOf(scenario, ['--requests', '9', '--concurrency', '2']), '--requests', '9', '--concurrency', '2'], {})).toMatchObject({ type: 'run' })
  })
})
