import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'

const docker = path.resolve(import.meta.dirname, '../../docker')

/** The text of a file in `docker/`. */
export const readDocker = (...parts: string[]): string => readFileSync(path.join(docker, ...parts), 'utf8')

/** A PromQL expression, and what else is shown of its labels: texts with `{{ label }}` in them. */
export interface Expression {
  readonly where: string
  readonly text: string
  readonly shown: readonly string[]
}

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number, readonly y: number, readonly w: number, readonly h: number }
  readonly targets?: readonly { readonly expr: string, readonly legendFormat?: string, readonly datasource: { readonly uid: string } }[]
}
interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string, readonly definition: string }[] }
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
}
interface RuleFile {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string, readonly expr: string, readonly annotations: Readonly<Record<string, string>> }[] }[]
}

interface ScaledObject {
  readonly spec: { readonly triggers: readonly { readonly metadata: { readonly query: string } }[] }
}

export const dashboards = readdirSync(path.join(docker, 'grafana/dashboards'))
  .map((file) => ({ file, dashboard: JSON.parse(readDocker('grafana/dashboards', file)) as Dashboard }))
export const rules = readdirSync(path.join(docker, 'prometheus/rules'))
  .flatMap((file) => (parse(readDocker('prometheus/rules', file)) as RuleFile).groups.flatMap((group) => group.rules))

export const expressions: readonly Expression[] = [
  ...dashboards.flatMap(({ file, dashboard }) => [
    ...dashboard.panels.flatMap(({ title, targets }) => (targets ?? []).map(({ expr, legendFormat }) => ({ where: `${file}: ${title}`, text: expr, shown: [legendFormat ?? ''] }))),
    ...dashboard.annotations.list.map(({ expr }) => ({ where: `${file}: annotation`, text: expr, shown: [] })),
    ...dashboard.templating.list.map(({ name, definition }) => ({
      where: `${file}: variable ${name}`,
      text: /^label_values\((.*),[^,]*\)$/.exec(definition)?.[1] ?? definition,
      shown: [`{{${/,\s*(\w+)\)$/.exec(definition)?.[1] ?? ''}}}`]
    }))
  ]),
  ...(parse(readDocker('kubernetes/autoscaling.yaml')) as ScaledObject).spec.triggers.map(({ metadata }) => ({ where: 'autoscaling.yaml', text: metadata.query, shown: [] })),
  ...rules.map(({ alert, expr, annotations }) => ({ where: alert, text: expr, shown: Object.values(annotations) }))
]

/** Series that Prometheus itself makes. */
export const ownSeries = new Set(['up', 'ALERTS'])
const keywords = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'and', 'or', 'unless', 'bool', 'offset'])

/** Names of series in a PromQL expression: what is left without strings, labels, ranges, functions and keywords. */
export function seriesIn (expression: string): readonly string[] {
  const bare = expression
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
  return [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\w)(\s*\()?/g)]
    .filter(([, call]) => call === undefined)
    .map(([name]) => name)
    .filter((name) => !keywords.has(name) && !ownSeries.has(name))
}

/** Labels that Prometheus itself adds to what it scrapes. */
const ownLabels = new Set(['instance', 'job'])

/** The labels that an expression asks for: each with the series it must be on, or with none where any of the expression will do. */
export function labelsIn ({ text, shown }: Expression): readonly { readonly series: string | null, readonly label: string }[] {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  const matched = [...bare.matchAll(/([a-zA-Z_:][\w:]*)\{([^}]*)\}/g)].flatMap(([, series = '', matchers = '']) =>
    [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => ({ series, label })))
  const grouped = [...bare.matchAll(/\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)/g)]
    .flatMap(([, labels = '']) => labels.split(',').map((label) => label.trim()).filter(Boolean))
  const shownLabels = shown.flatMap((part) => [...part.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)/g)].map(([, label = '']) => label))
  return [...matched, ...[...grouped, ...shownLabels].map((label) => ({ series: null, label }))].filter(({ series, label }) => !ownLabels.has(label) && !ownSeries.has(series ?? ''))
}
