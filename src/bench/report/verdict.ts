import type { BenchRun, Ratio, Share } from './bench-run.ts'

/** A smaller difference matters to nobody. */
const smallestDifference = 0.02
/** Prompts that nobody asked before share a template's opening, no more. */
const mostCachedShare = 0.25

/**
 * Which of two servers is better by a measure, as seen in every pair of runs. Null when pairs disagree, when there is but one,
 * and when they differ by less than 2 %.
 */
export function betterOf ({ isHigherBetter, median, min, max, ratios }: Ratio): 'a' | 'b' | null {
  if (ratios.length < 2 || (min <= 1 && max >= 1) || Math.abs(median - 1) < smallestDifference) return null
  return (median > 1) === isHigherBetter ? 'b' : 'a'
}

/**
 * The share of prompt tokens that a server had in a cache although nothing in the workload was asked twice; null when it is as it
 * should be. The chat template's tokens, which are most of a very short prompt, it may know.
 */
export function suspiciousCacheShare (run: BenchRun): number | null {
  const { asks_anew: asksAnew, cached_tokens: cached, template_tokens: templateTokens } = run.drawbridge
  const ofTemplates = templateTokens * (run.completed - run.drawbridge.requests_without_usage)
  const share = (cached - ofTemplates) / (run.total_input_tokens - ofTemplates)
  return asksAnew && run.total_input_tokens > ofTemplates && share > mostCachedShare ? share : null
}

/** Of models and tenants for which nothing was sent, so that nothing is known of them. */
export function unaskedWarnings ({ max_concurrency: concurrency, drawbridge: { load, per_model: models, per_tenant: tenants } }: BenchRun): readonly string[] {
  const unasked = (shares: readonly Share[]): readonly Share[] => shares.filter(({ requests }) => requests === 0)
  const sentence = (noun: string, shares: readonly Share[]): string[] => shares.length === 0
    ? []
    : [`Nothing was sent for ${shares.length === 1 ? noun : `${noun}s`} ${shares.map(({ name }) => name).join(', ')}`]
  const withoutUsers = load.type === 'closed' && concurrency !== null && concurrency < tenants.length
  return [
    ...sentence('model', unasked(models)),
    ...sentence('tenant', unasked(tenants)).map((text) => withoutUsers ? `${text}: with concurrency ${concurrency} not each of the ${tenants.length} has a user` : text)
  ]
}

/** Of load that was meant to be, and was not. An interrupted run says so itself. */
export function unsentWarnings ({ drawbridge: { load, never_sent: count, was_interrupted: wasInterrupted } }: BenchRun): readonly string[] {
  if (count === 0 || wasInterrupted) return []
  return [`${count} of the arrivals (${load.description}) came too late to be sent within the run: the load was less than asked for`]
}
