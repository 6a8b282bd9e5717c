import type { Comparison, Ratio } from '../bench-run.ts'
import { betterOf } from '../verdict.ts'
import { html, type Content, type Markup } from './markup.ts'
import { measureName, measureValueText } from './measure-text.ts'
import { fixedText, noNumber, shortText } from './number-text.ts'
import { rangeAxis, rangeCell, ratioScale, type Range } from './range-plot.ts'
import type { Scale } from './scale.ts'

/** How one server's measures relate to the other's. */
export function comparisonSection (comparison: Comparison | null): Content {
  const loads = comparison?.loads.filter(({ ratios }) => ratios.length > 0) ?? []
  if (comparison === null || loads.length === 0) return null
  const a = shortText(comparison.a, 40)
  const b = shortText(comparison.b, 40)
  const all = loads.flatMap(({ ratios }) => ratios)
  const scale = ratioScale(all.flatMap(({ min, max }) => [min, max]))
  const pairs = Math.max(...all.map(({ ratios }) => ratios.length))
  return html`<section><h2><bdi>${b}</bdi> compared with <bdi>${a}</bdi></h2>
<p class="note">Ratios of <b><bdi>${b}</bdi></b> to <b><bdi>${a}</bdi></b>, ${pairs === 1
  ? 'of one pair of runs: without repetitions there is no telling a difference from chance, so nothing is coloured.'
  : html`of up to ${pairs} pairs of runs that followed each other: the median, and the line from the smallest to the largest.`}</p>
${pairs > 1 && html`<ul class="verdicts"><li class="better">▲ better in every pair, by 2 % or more</li><li class="worse">▼ worse in every pair, by 2 % or more</li>
<li class="unclear">● no clear difference</li></ul>`}
${loads.map(({ description, ratios }) => ratioTable({ a, b }, description, ratios, scale, loads.length > 1))}</section>`
}

function ratioTable ({ a, b }: { a: string, b: string }, description: string, ratios: readonly Ratio[], scale: Scale, isNamed: boolean): Markup {
  const caption = isNamed ? description : `Ratios of ${b} to ${a}`
  return html`${isNamed && html`<h3><bdi>${description}</bdi></h3>`}<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
<table class="ratios"><caption>${caption}</caption><thead><tr><th scope="col">Measure</th><th scope="col" class="number"><bdi>${a}</bdi></th>
<th scope="col" class="number"><bdi>${b}</bdi></th><th scope="col" class="number">Ratio</th><th scope="col" class="number">Range</th>
<th>${rangeAxis(scale)}</th></tr></thead><tbody>${ratios.map((ratio) => ratioRow(ratio, scale))}</tbody></table></div>`
}

function ratioRow (ratio: Ratio, scale: Scale): Markup {
  const { measure, isHigherBetter, a, b, median, min, max, ratios } = ratio
  const isKnown = [median, min, max].every((value) => Number.isFinite(value) && value >= 0)
  const verdict = isKnown ? verdictOf(ratio) : 'unclear'
  const sign = { better: '▲', worse: '▼', unclear: '●' }[verdict]
  const rangeText = isKnown && ratios.length > 1 ? `${ratioText(min)} – ${ratioText(max)}` : noNumber
  const tooltip = `${measureName(measure)}, ${isHigherBetter ? 'higher' : 'lower'} is better: ${ratioText(median)}×, ${rangeText}`
  return html`<tr><th scope="row">${measureName(measure)} <span>${isHigherBetter ? '↑' : '↓'}</span></th>
<td class="number">${measureValueText(measure, a)}</td><td class="number">${measureValueText(measure, b)}</td>
<td class="number ${verdict}"><b>${isKnown ? ratioText(median) : noNumber}</b> ${isKnown && html`<i>${sign}</i>`}</td>
<td class="number">${rangeText}</td><td>${isKnown && rangeCell({ median, min, max, verdict, tooltip }, scale)}</td></tr>
`
}

/** Of the second server, as seen from the first. */
function verdictOf (ratio: Ratio): Range['verdict'] {
  const better = betterOf(ratio)
  return better === null ? 'unclear' : better === 'b' ? 'better' : 'worse'
}

function ratioText (ratio: number): string { return fixedText(ratio, ratio < 10 ? 3 : 1) }
