/** A named load: how the server is started for it, and what `drawbridge bench` is told. */
export interface Scenario {
  readonly name: string
  readonly question: string
  readonly serverFlags: readonly string[]
  readonly benchFlags: readonly string[]
}

/** Eight slots, each long enough for the longest request of any scenario. */
const serverFlags = ['--slots', '8', '--context-size', '2048', '--max-queue', '1024']

export const scenarios: readonly Scenario[] = [
  {
    name: 'chat',
    question: 'How do throughput and latency go with the number of users?',
    serverFlags,
    benchFlags: ['--concurrency', '1,2,4,8,16', '--input-tokens', 'lognormal:96,0.5', '--output-tokens', 'lognormal:64,0.5']
  },
  {
    name: 'long-prompts',
    question: 'What do short requests suffer while long prompts are read?',
    serverFlags,
    benchFlags: ['--concurrency', '8', '--workload', 'mixed', '--long-share', '0.2', '--long-input-tokens', '1200', '--long-output-tokens', '16', '--requests', '120']
  },
  {
    name: 'shared-prefix',
    question: 'What does the prefix cache spare when users share long system prompts?',
    serverFlags,
    benchFlags: ['--concurrency', '8', '--workload', 'shared-prefix', '--prefixes', '4', '--prefix-tokens', '800', '--input-tokens', '48', '--requests', '120']
  },
  {
    name: 'multi-turn',
    question: 'Do conversations find their earlier turns in the cache?',
    serverFlags,
    benchFlags: ['--concurrency', '8', '--workload', 'multi-turn', '--turns', '5', '--input-tokens', '48', '--output-tokens', '48', '--requests', '120']
  },
  {
    name: 'flood',
    question: 'What does a single chat suffer beside a script with 64 calls at a time?',
    serverFlags: [...serverFlags, '--api-key', 'script-key', '--api-key', 'chat-key'],
    benchFlags: [
      '--concurrency', '65', '--tenant', 'script=script-key@64', '--tenant', 'chat=chat-key@1', '--input-tokens', '64', '--output-tokens', '48', '--requests', '600'
    ]
  },
  {
    name: 'arrivals',
    question: 'At which rate of arrivals does the server fall behind?',
    serverFlags,
    benchFlags: ['--rate', 'auto', '--duration', '10s', '--input-tokens', 'lognormal:96,0.5', '--output-tokens', 'lognormal:48,0.5', '--goodput', 'ttft:1000', 'tpot:100']
  }
]

/** Flags of which a run takes one. */
const alternatives: readonly (readonly string[])[] = [['--requests', '--duration'], ['--concurrency', '--rate']]

/** What a scenario tells `drawbridge bench`, less what was said otherwise. */
export function benchFlagsOf ({ benchFlags }: Pick<Scenario, 'benchFlags'>, given: readonly string[]): readonly string[] {
  const said = new Set(given.map((word) => word.split('=', 1)[0]!))
  const isSaid = (flag: string): boolean => said.has(flag) || alternatives.some((flags) => flags.includes(flag) && flags.some((other) => said.has(other)))
  const kept: string[] = []
  let isKept = true
  for (const word of benchFlags) {
    // Its values follow a flag.
    if (word.startsWith('--')) isKept = !isSaid(word)
    if (isKept) kept.push(word)
  }
  return kept
}
