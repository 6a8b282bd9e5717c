import type { Histogram } from './histogram.ts'
import type { SimulationOptions, SimulationResult } from './simulation.ts'

const count = (value: number): string => Math.round(value).toLocaleString('en-US')
const share = (part: number, whole = 1): string => `${(whole === 0 ? 0 : 100 * part / whole).toFixed(1)} %`
const decimals = (value: number): string => value >= 100 ? count(value) : value.toFixed(1)

/** A run's numbers on one screen. Times are virtual. */
export function formatReport (options: SimulationOptions, result: SimulationResult): string {
  const { snapshot, virtualMs, errors } = result
  const seconds = virtualMs / 1000
  const refused = [...errors].map(([code, number]) => `${code} ${count(number)}`).join(', ')
  const rows: readonly (readonly [string, string])[] = [
    ['requests', `${count(options.requests)} at ${options.rate.toFixed(2)}/s, seed ${options.seed}`],
    ['layout', `${options.laneCount} lanes of ${options.slotsPerLane} slots of ${count(options.contextSize)} tokens, ` +
      `${options.stepTokens} tokens per step`],
    ['virtual time', `${count(seconds)} s`],
    ['sequences', `${count(snapshot.finished)} finished, ${count(result.leftEarly)} left early` +
      (refused === '' ? '' : `, ${refused}`)],
    ['throughput', `${decimals(snapshot.drawnTokens / seconds)} tokens/s drawn, ` +
      `${decimals(snapshot.promptTokens / seconds)} prompt tokens/s computed`],
    ['steps', `${count(snapshot.steps)}, ${decimals(snapshot.drawnTokens / snapshot.steps)} tokens drawn in each, ` +
      `${count(result.adapterSwitches)} changes of adapters`],
    ['busy', `slots ${share(result.slotUtilisation)}, lanes ${share(result.laneUtilisation)}`],
    ['prefix cache', `${share(snapshot.prefixHitTokens, snapshot.prefixQueriedTokens)} of prompt tokens found`],
    ['guesses', `${count(snapshot.guessedTokens)}, ${share(snapshot.rightGuesses, snapshot.guessedTokens)} of them right`],
    ['preemption', `${count(snapshot.preempted)} slots taken, ${count(snapshot.recomputedTokens)} tokens computed again`],
    ['queue', percentiles(result.queueMs)],
    ['TTFT', percentiles(result.firstTokenMs)],
    ...crowds(result),
    ['ITL', percentiles(result.tokenGapMs)]
  ]
  return rows.map(([name, text]) => `${name.padEnd(14)} ${text}`).join('\n')
}

/** Where there is more than one crowd, each of them. */
function crowds ({ firstTokenMsOf }: SimulationResult): readonly (readonly [string, string])[] {
  const present = Object.entries(firstTokenMsOf).filter(([, histogram]) => histogram.count > 0)
  return present.length < 2 ? [] : present.map(([name, histogram]) => [`  of ${name}`, percentiles(histogram)] as const)
}

const percentiles = (histogram: Histogram): string =>
  [0.5, 0.9, 0.99].map((part) => `p${part * 100} ${decimals(histogram.percentile(part))}`)
    .concat(`max ${decimals(histogram.max)} ms`).join('   ')
