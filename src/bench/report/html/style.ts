/**
 * The page's style. Hues are told apart by people who see no red or green too (blue, orange, teal, purple, ochre, slate);
 * the ramp for loads in order gets stronger with the load, in the light and in the dark.
 */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --raised: #f6f7f8; --ink: #1b2126; --quiet: #5c6670; --grid: #e6e9ec; --edge: #d3d8dd; --axis: #8a949d;
  --hue-0: #1a6fb5; --hue-1: #d2650f; --hue-2: #0b8577; --hue-3: #8a4ba3; --hue-4: #8a7000; --hue-5: #5a6b7b;
  --ramp-low: #45b3a2; --ramp-middle: #2577bd; --ramp-high: #47216f;
  --better: #0b6fa8; --worse: #c4540a; --alarm: #b3261e; --alarm-paper: #fdf1ee; --alarm-edge: #e9b9b0;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14181c; --raised: #1c2227; --ink: #e4e8eb; --quiet: #9aa5af; --grid: #262d33; --edge: #38414a; --axis: #6d7882;
    --hue-0: #65b1f0; --hue-1: #f39b4f; --hue-2: #3fc4b2; --hue-3: #c795dd; --hue-4: #d6bd4e; --hue-5: #a3b3c2;
    --ramp-low: #2f8578; --ramp-middle: #57a6ea; --ramp-high: #d9c8f8;
    --better: #5cb6ec; --worse: #f39b4f; --alarm: #ff8f82; --alarm-paper: #2b1a18; --alarm-edge: #6b352e;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 36px 20px 64px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 20px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; line-height: 1.3; margin: 0 0 8px; overflow-wrap: anywhere; }
h3 { font-size: 14px; margin: 16px 0 4px; }
section { margin-top: 44px; }
p { margin: 0 0 8px; }
ul { margin: 0; padding: 0; list-style: none; }
bdi { overflow-wrap: anywhere; }
.short { white-space: nowrap; }
.kicker { color: var(--quiet); margin: 0 0 2px; }
.note, .quiet { color: var(--quiet); }
.note { font-size: 14px; margin: 0 0 12px; max-width: 76ch; }
.alarm { color: var(--alarm); font-weight: 600; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 3px 32px; margin: 0; }
.facts div { display: grid; grid-template-columns: 86px minmax(0, 1fr); gap: 12px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.command { margin: 16px 0 0; padding: 9px 12px; background: var(--raised); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
td code { font-size: 12.5px; white-space: pre-wrap; overflow-wrap: anywhere; display: block; min-width: 260px; }
.warnings { margin-top: 24px; padding: 12px 16px; background: var(--alarm-paper); border: 1px solid var(--alarm-edge); border-left: 4px solid var(--alarm); border-radius: 6px; }
.warnings div + div { margin-top: 10px; }
.warnings p { margin: 0; }
.warnings b { color: var(--alarm); }
.warnings li { padding-left: 14px; font-size: 14px; overflow-wrap: anywhere; }
.warnings li::before { content: "– "; margin-left: -14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 215px), 1fr)); gap: 12px; margin: 12px 0; }
.tile { background: var(--raised); border-radius: 8px; padding: 11px 14px 12px; break-inside: avoid; }
.tile h3 { margin: 0 0 2px; font-size: 13px; font-weight: 600; }
.tile h3 span { color: var(--quiet); font-weight: 400; }
.tile p { margin: 0; }
.tile .note { font-size: 13px; }
.tile-line + .tile-line { margin-top: 8px; padding-top: 8px; border-top: 1px solid var(--edge); }
.tile-name { font-size: 13px; line-height: 1.35; }
.value { font-size: 25px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -0.01em; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 22px 32px; }
figure { margin: 0; break-inside: avoid; max-width: 640px; }
figcaption { font-size: 14px; line-height: 1.4; margin-bottom: 4px; }
figcaption span { color: var(--quiet); }
.plot { display: block; width: 100%; height: auto; overflow: visible; }
svg { font-size: 10.5px; font-weight: 400; font-variant-numeric: tabular-nums; }
.grid path { stroke: var(--grid); fill: none; }
.axis { stroke: var(--axis); }
.ticks text { fill: var(--quiet); }
.line { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.line.thin { stroke-width: 1.2; }
.area { fill: var(--c); opacity: 0.14; }
.band { fill: var(--c); opacity: 0.1; }
.whisker { stroke: var(--c); stroke-width: 1; fill: none; }
.mark { fill: var(--c); stroke: var(--paper); stroke-width: 0.9; }
.mark.hollow { fill: var(--paper); stroke: var(--c); stroke-width: 1.3; }
.mark:hover { stroke: var(--ink); }
.end { fill: var(--c); font-weight: 600; }
.failure { fill: var(--alarm); opacity: 0.85; }
.rule path { stroke: var(--c, var(--axis)); stroke-dasharray: 3 3; }
.rule text { fill: var(--c, var(--quiet)); }
.column { fill: transparent; }
.column:hover { fill: var(--ink); opacity: 0.08; }
.swatch { vertical-align: -1px; flex: none; }
.legend, .verdicts { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 14px; font-size: 14px; }
.legend li { display: flex; align-items: center; gap: 7px; }
.better { color: var(--better); } .worse { color: var(--worse); } .unclear { color: var(--quiet); }
.findings { margin-top: 14px; }
.fairness { margin-bottom: 10px; }
.fairness p { margin: 0; }
.scroll { overflow-x: auto; margin: 10px 0 14px; }
.scroll:focus-visible { outline: 2px solid var(--hue-0); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; min-width: 50%; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.captioned caption { position: static; width: auto; height: auto; clip-path: none; text-align: left; font-weight: 600; padding: 8px 0 2px; white-space: nowrap; }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: baseline; font-weight: 400; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--ink); font-weight: 600; font-size: 13px; border-bottom: 1px solid var(--axis); vertical-align: bottom; white-space: nowrap; }
thead span { display: block; font-weight: 400; color: var(--quiet); }
tbody span:not(.name), tbody i { color: var(--quiet); font-style: normal; }
tbody tr { border-bottom: 1px solid var(--grid); }
tbody th { min-width: 90px; position: sticky; left: 0; background: var(--paper); }
tbody bdi { display: inline-block; max-width: 300px; overflow-wrap: break-word; vertical-align: bottom; }
tbody .swatch { margin-right: 4px; }
.number { text-align: right; white-space: nowrap; }
.number.better i { color: var(--better); } .number.worse i { color: var(--worse); }
.shares tbody { border-bottom: 1px solid var(--grid); }
.shares tbody tr { border: 0; }
.shares tbody th { vertical-align: top; min-width: 150px; }
.cell, .range { display: block; }
.base { fill: var(--raised); }
.bar { fill: var(--c); }
.reach { stroke: var(--c); fill: none; stroke-width: 1.3; }
.target { stroke: var(--ink); stroke-width: 2; }
.one { stroke: var(--axis); stroke-width: 1.3; }
.ratios td, .ratios tbody th { padding-top: 0; padding-bottom: 0; vertical-align: middle; }
.ratios tbody th { white-space: nowrap; }
.ratios th:last-child { vertical-align: bottom; }
.spread { stroke: currentColor; stroke-width: 1.8; fill: none; }
.range circle { fill: currentColor; stroke: var(--paper); }
.target-area { fill: transparent; }
.definitions dl { margin: 0; }
.definitions div { display: grid; grid-template-columns: 110px minmax(0, 76ch); gap: 2px 16px; padding: 5px 0; }
.definitions dt { color: var(--ink); font-weight: 600; }
@media (max-width: 560px) {
  main { padding: 22px 14px 48px; }
  h1 { font-size: 22px; }
  section { margin-top: 34px; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 8px; }
  .value { font-size: 21px; }
  .facts div, .definitions div { grid-template-columns: 76px minmax(0, 1fr); }
  .definitions div { grid-template-columns: 1fr; }
  tbody .short { white-space: normal; }
  tbody th, .shares tbody th { min-width: 80px; }
  tbody th:has(.swatch) { min-width: 146px; }
  tbody bdi { max-width: 140px; }
  .long { display: none; }
  .plot { font-size: 12px; }
}
@media print {
  @page { margin: 14mm; }
  body { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  /* So that the widest tables fit on paper. */
  main { zoom: 0.62; max-width: none; padding: 0; }
  .plots { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
  th, td { padding-right: 8px; }
  tr, .warnings { break-inside: avoid; }
  h2, h3, thead { break-after: avoid; }
  .column { display: none; }
}
`
