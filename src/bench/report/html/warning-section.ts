import type { BenchRun, Comparison } from '../bench-run.ts'
import { suspiciousCacheShare, unaskedWarnings, unsentWarnings } from '../verdict.ts'
import { html, type Content } from './markup.ts'
import { countText, durationText, percentText, shortText } from './number-text.ts'
import { runLabel, type Series } from './series.ts'

interface Warning {
  readonly title: string
  /** Why it matters. */
  readonly meaning: string
  /** In which runs, and how much. */
  readonly details: readonly string[]
}

/** What makes the numbers below it less than they seem; nothing when all is well. */
export function warningSection (series: readonly Series[], comparison: Comparison | null): Content {
  const runs = series.flatMap((one) => one.runs.map((run) => ({ run, label: runLabel(one, run) })))
  const warnings = [
    differenceWarning(comparison), interruptionWarning(runs), generatorWarning(runs), failureWarning(runs), unaskedWarning(runs), unsentWarning(runs), missingWarning(runs), cacheWarning(runs), stallWarning(runs)
  ].filter((warning) => warning.details.length > 0)
  if (warnings.length === 0) return null
  return html`<section class="warnings" aria-label="Warnings">${warnings.map(({ title, meaning, details }) =>
    html`<div><p><b>${title}</b> ${meaning}</p><ul>${details.slice(0, 6).map((detail) => html`<li>${detail}</li>`)}
${details.length > 6 && html`<li>and ${details.length - 6} more</li>`}</ul></div>`)}</section>`
}

type Labelled = readonly { readonly run: BenchRun, readonly label: string }[]

function differenceWarning (comparison: Comparison | null): Warning {
  return { title: 'More than the server differs.', meaning: 'Ratios may come from that.', details: comparison?.differences ?? [] }
}

function interruptionWarning (runs: Labelled): Warning {
  return {
    title: 'Interrupted.',
    meaning: 'Requests that were under way when a run was ended do not count; it is neither compared nor used to find saturation.',
    details: named(runs, ({ num_prompts: count, drawbridge }) => drawbridge.was_interrupted ? [`ended after ${countText(count, 'request')}`] : [])
  }
}

function generatorWarning (runs: Labelled): Warning {
  return {
    title: 'The load generator did not keep up.',
    meaning: 'Latencies are partly its own, and the load was less than asked for.',
    details: named(runs, ({ drawbridge }) => drawbridge.generator.warnings)
  }
}

function failureWarning (runs: Labelled): Warning {
  const failed = runs.reduce((sum, { run }) => sum + run.failed, 0)
  return {
    title: `${countText(failed, 'request')} failed.`,
    meaning: 'Latencies and tokens are those of the completed ones alone.',
    details: named(runs, (run) => {
      if (run.failed === 0) return []
      const kind = run.drawbridge.errors.reduce<{ kind: string, count: number } | null>(
        (most, error) => most === null || error.count > most.count ? error : most, null)
      const share = percentText(run.failed / Math.max(1, run.completed + run.failed))
      return [`${run.failed.toLocaleString('en-US')} of ${(run.completed + run.failed).toLocaleString('en-US')} (${share})${kind ? `, most often ${shortText(kind.kind, 100)}` : ''}`]
    })
  }
}

function unaskedWarning (runs: Labelled): Warning {
  return { title: 'Not everybody asked.', meaning: 'Of these nothing is known, and the fairness is that of the others.', details: named(runs, unaskedWarnings) }
}

function unsentWarning (runs: Labelled): Warning {
  return { title: 'Not all was sent.', meaning: 'The server had less to do than the rate says.', details: named(runs, unsentWarnings) }
}

function missingWarning (runs: Labelled): Warning {
  const missing = runs.reduce((sum, { run }) => sum + run.drawbridge.requests_without_usage, 0)
  return {
    title: `${countText(missing, 'completed request')} came without usage.`,
    meaning: 'Throughput and TPOT are without them, so throughput is too low.',
    details: named(runs, ({ completed, drawbridge: { requests_without_usage: count } }) => count === 0 ? [] : [`${count} of ${completed}`])
  }
}

function cacheWarning (runs: Labelled): Warning {
  return {
    title: 'The server knew the questions.',
    meaning: 'It was asked the same before, with the same seed: TTFT is too short, throughput too high.',
    details: named(runs, (run) => {
      const share = suspiciousCacheShare(run)
      return share === null ? [] : [`${percentText(share)} of the prompt tokens were in its cache`]
    })
  }
}

function stallWarning (runs: Labelled): Warning {
  return {
    title: 'Streams stalled.',
    meaning: 'There were gaps of more than a second between two outputs.',
    details: named(runs, ({ drawbridge: { stalls } }) => stalls.count === 0
      ? []
      : [`${countText(stalls.count, 'gap')}, the longest ${durationText(stalls.longest_ms)}`])
  }
}

function named (runs: Labelled, detailsOf: (run: BenchRun) => readonly string[]): string[] {
  return runs.flatMap(({ run, label }) => detailsOf(run).map((detail) => runs.length > 1 ? `${label}: ${detail}` : detail))
}
