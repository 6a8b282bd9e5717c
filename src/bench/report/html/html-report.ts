import type { BenchReport } from '../bench-run.ts'
import { definitions } from '../definitions.ts'
import { comparisonSection } from './comparison-section.ts'
import { distributionSection } from './distribution-section.ts'
import { headSection, titleOf } from './head-section.ts'
import { keyNumberSection } from './key-number-section.ts'
import { html } from './markup.ts'
import { page } from './page.ts'
import { chooseSeries, groupIntoSeries } from './series.ts'
import { shareSections } from './share-section.ts'
import { sweepSection } from './sweep-section.ts'
import { tableSections } from './table-section.ts'
import { timelineSection } from './timeline-section.ts'
import { warningSection } from './warning-section.ts'

/** More curves in one plot than these cannot be told apart. */
const curveLimit = 8

/**
 * One HTML page that shows a whole benchmark: without scripts, it loads nothing, and everything from outside (names,
 * errors, labels) is escaped. It can be opened offline, printed, and read in the dark and on a phone.
 */
export function htmlReport (report: BenchReport): string {
  const series = groupIntoSeries(report.runs)
  const drawn = chooseSeries(series, curveLimit)
  return page(`${titleOf(report)} – load benchmark`, [
    headSection(report, series),
    warningSection(series, report.comparison),
    series.length === 0 ? html`<p>There are no runs in this report.</p>` : keyNumberSection(series),
    comparisonSection(report.comparison),
    sweepSection(series, report.saturation),
    distributionSection(drawn, series.length),
    timelineSection(drawn),
    shareSections(drawn),
    tableSections(series),
    html`<section class="definitions"><h2>What the words mean</h2><dl>${definitions.map(({ name, text }) =>
      html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl></section>`
  ])
}
