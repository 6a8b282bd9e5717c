import { latencyNames, type BenchReport, type BenchRun, type Comparison, type Fairness, type Share } from './bench-run.ts'
import { fairnessTexts } from './fairness-texts.ts'
import { formatNumber, formatTable } from './table.ts'
import { betterOf, suspiciousCacheShare, unaskedWarnings, unsentWarnings } from './verdict.ts'

/** What is printed when a benchmark has ended. */
export function terminalReport ({ runs, saturation, comparison }: BenchReport): string {
  const [only] = runs
  const parts = runs.length === 1 && only !== undefined ? describeRun(only) : describeRuns(runs)
  for (const { server, explanation } of saturation) parts.push(`${server}: ${explanation}.`)
  if (comparison !== null) parts.push(describeComparison(comparison))
  return parts.filter((part) => part !== '').join('\n\n')
}

/** Names and errors are a server's words: they shall not move the cursor or change colours. Ends of lines stay. */
// eslint-disable-next-line no-control-regex
export const withoutControls = (text: string): string => text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\ufffd')

function describeRun (run: BenchRun): string[] {
  const { drawbridge: details } = run
  const { steady, generator, server_metrics: metrics } = details
  const pairs: (readonly [string, string])[] = [
    ['requests', `${run.completed} completed, ${run.failed} failed, in ${formatNumber(run.duration)} s`],
    ['requests/s', formatNumber(run.request_throughput)],
    ['output tokens/s', `${formatNumber(run.output_throughput)}${steady === null ? '' : `; ${formatNumber(steady.output_throughput)} without the slopes at both ends`}`],
    ['tokens', `${run.total_input_tokens} in (${details.cached_tokens} of them cached), ${run.total_output_tokens} out`],
    ['under way at once', `${run.max_concurrent_requests} at most`],
    ...(details.cut_short === 0 ? [] : [['conversations', `${details.cut_short} ended by the run's limit before their last request`] as const])
  ]
  if (run.request_goodput !== null) {
    const objectives = Object.entries(details.objectives).map(([name, limit]) => `${name} ${limit} ms`).join(', ')
    pairs.push(['goodput', `${formatNumber(run.request_goodput)} requests/s, ${formatNumber((details.good_share ?? 0) * 100)} % of all (${objectives})`])
  }
  if (metrics?.mean_queue_ms != null) pairs.push(['queue time', `${formatNumber(metrics.mean_queue_ms)} ms on average, says the server`])
  pairs.push(['load generator', `${formatNumber(generator.cores)} cores, ${formatNumber(generator.chunks_per_second)} chunks/s, loop late by ${formatNumber(generator.loop_delay_p99_ms)} ms (p99)` +
    (generator.lateness_p99_ms === null ? '' : `, requests by ${formatNumber(generator.lateness_p99_ms)} ms (p99)`)])
  return [
    heading(run),
    pairs.map(([name, value]) => `${name.padEnd(18)} ${value}`).join('\n'),
    run.completed === 0
      ? ''
      : formatTable(['ms', 'mean', 'median', 'p90', 'p95', 'p99', 'max', 'count'], latencyNames.map((name) => {
        const summary = details.latencies[name]
        const cells = [summary.mean, summary.median, summary.p90, summary.p95, summary.p99, summary.max]
        return [name.toUpperCase(), ...cells.map((value) => summary.count === 0 ? '-' : formatNumber(value)), String(summary.count)]
      })),
    ...describeShares(run),
    describeErrors(run),
    warningsOf(run).map((warning) => `Warning: ${warning}.`).join('\n')
  ]
}

const heading = ({ model_id: model, drawbridge: { server, load, workload, was_interrupted: wasInterrupted } }: BenchRun): string =>
  `${server} · ${model} · ${load.description} · ${workload}${wasInterrupted ? ' · interrupted' : ''}`

function describeRuns (runs: readonly BenchRun[]): string[] {
  const [first] = runs
  if (first === undefined) return ['Nothing was answered.']
  const hasGoodput = runs.some(({ request_goodput: goodput }) => goodput !== null)
  const servers = new Set(runs.map(({ drawbridge }) => drawbridge.server))
  const header = [
    'load', ...(servers.size > 1 ? ['server'] : []), 'output tokens/s', 'requests/s', 'TTFT p50', 'p99', 'TPOT p50', 'p99', 'ITL p99', 'E2EL p50', 'p99',
    ...(hasGoodput ? ['goodput'] : []), 'failed', 'generator'
  ]
  const rows = runs.map((run) => {
    const { load, server, latencies: { ttft, tpot, itl, e2el }, generator } = run.drawbridge
    const ms = (value: number, count: number): string => count === 0 ? '-' : formatNumber(value)
    return [
      `${load.description}${run.drawbridge.was_interrupted ? ' (interrupted)' : ''}`, ...(servers.size > 1 ? [server] : []), formatNumber(run.output_throughput), formatNumber(run.request_throughput),
      ms(ttft.p50, ttft.count), ms(ttft.p99, ttft.count), ms(tpot.p50, tpot.count), ms(tpot.p99, tpot.count), ms(itl.p99, itl.count),
      ms(e2el.p50, e2el.count), ms(e2el.p99, e2el.count),
      ...(hasGoodput ? [`${formatNumber((run.drawbridge.good_share ?? 0) * 100)} %`] : []), String(run.failed), `${generator.cores.toFixed(2)} cores`
    ]
  })
  const warnings = [...new Set(runs.flatMap((run) => warningsOf(run).map((warning) => `Warning, ${run.drawbridge.server}, ${run.drawbridge.load.description}: ${warning}.`)))]
  return [
    `${first.drawbridge.workload}; times in ms`,
    formatTable(header, rows),
    ...runs.map(describeErrors),
    ...(runs.length <= 4 ? runs.flatMap(describeShares) : []),
    warnings.join('\n')
  ]
}

function describeShares ({ drawbridge: { server, per_model: models, per_tenant: tenants, per_kind: kinds, fairness } }: BenchRun): string[] {
  const table = (title: string, shares: readonly Share[], index: Fairness | null): string => shares.length < 2
    ? ''
    : `${formatTable([`${title} (${server})`, 'requests', 'failed', 'output tokens/s', 'TTFT p50', 'p99', 'TPOT p50', 'p99'], shares.map((share) => [
      share.name, String(share.requests), String(share.failed), formatNumber(share.output_throughput),
      ...[share.latencies.ttft, share.latencies.tpot].flatMap(({ p50, p99, count }) => [p50, p99].map((value) => count === 0 ? '-' : formatNumber(value)))
    ]))}${index === null ? '' : describeFairness(index)}`
  return [table('model', models, fairness.models), table('tenant', tenants, fairness.tenants), table('kind', kinds, null)]
}

function describeFairness (fairness: Fairness): string {
  const parts = fairnessTexts.flatMap(({ key, text }) => fairness[key] === null ? [] : [`${fairness[key].toFixed(3)} of ${text}`])
  return parts.length === 0 ? '' : `\nJain's index: ${parts.join(', ')}`
}

function describeErrors ({ drawbridge: { errors, server, load } }: BenchRun): string {
  if (errors.length === 0) return ''
  return `Failed (${server}, ${load.description}):\n${errors.map(({ kind, count, example }) => `  ${String(count).padStart(6)} × ${kind}: ${example}`).join('\n')}`
}

/** What makes a run's numbers less than they seem. */
export function warningsOf (run: BenchRun): readonly string[] {
  const { errors, generator, requests_without_usage: silent, stalls } = run.drawbridge
  const cachedShare = suspiciousCacheShare(run)
  return [
    ...(run.drawbridge.was_interrupted ? ['This run was interrupted: requests that were under way do not count, and it is compared with none'] : []),
    ...generator.warnings,
    ...(run.failed > 0 ? [run.completed === 0 ? `All ${run.failed} requests failed${errors.length === 1 ? `, each with ${errors[0]?.kind}` : ''}` : `${run.failed} of ${run.num_prompts} requests failed; latencies are of the others`] : []),
    ...(silent > 0 ? [`For ${silent} requests the server told no usage; token figures and TPOT are without them`] : []),
    ...unaskedWarnings(run),
    ...unsentWarnings(run),
    ...(cachedShare === null ? [] : [`${Math.round(cachedShare * 100)} % of the prompt tokens were in the server's cache: it was asked the same before`]),
    ...(stalls.count > 0 ? [`${stalls.count} times a stream stood still for more than a second, once for ${formatNumber(stalls.longest_ms)} ms`] : [])
  ]
}

function describeComparison ({ a, b, differences, loads }: Comparison): string {
  const warnings = differences.map((difference) => `Warning: ${difference}.`).join('\n')
  const tables = loads.map(({ description, ratios }) => formatTable(
    [`${b} / ${a}, ${description}`, a, b, 'ratio', 'range', 'better'],
    ratios.map((ratio) => {
      const better = betterOf(ratio)
      const range = ratio.ratios.length === 1 ? 'one pair' : `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`
      const cells = [ratio.measure, formatNumber(ratio.a), formatNumber(ratio.b), ratio.median.toFixed(2), range]
      return [...cells, better === null ? '' : better === 'a' ? a : b]
    })
  ))
  return [...tables, warnings].filter((part) => part !== '').join('\n\n')
}
