import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { BenchRun } from '../../../src/bench/report/bench-run.ts'
import { compareFiles } from '../../../src/bench/report/compare-files.ts'
import { htmlReport } from '../../../src/bench/report/html/html-report.ts'
import { readRuns } from '../../../src/bench/report/read-report.ts'
import { writeJson } from '../../../src/bench/report/report-file.ts'
import { terminalReport } from '../../../src/bench/report/terminal.ts'
import { syntheticReport, syntheticRun, type SyntheticOptions } from './synthetic-report.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-compare-'))
afterAll(() => rmSync(folder, { recursive: true }))
const { machine } = syntheticReport([])

function write (name: string, runs: readonly BenchRun[]): string {
  const file = path.join(folder, name)
  writeJson(file, syntheticReport(runs, { saturation: [{ server: 'old name', axis: 'concurrency', at: 1, measure: 'output_throughput', best: 1, explanation: '' }] }))
  return file
}

const sweep = (options: SyntheticOptions = {}): BenchRun[] => [1, 2].map((concurrency) => syntheticRun({ concurrency, requests: 20, ...options }))
const compare = (a: string, b: string) => compareFiles([a, b], 'drawbridge bench --compare', machine)

describe('compareFiles', () => {
  it('compares the second with the first', () => {
    const report = compare(write('a.json', sweep({ server: 'one' })), write('b.json', sweep({ server: 'two', stepMs: 24 })))
    expect(report.comparison).toMatchObject({ a: 'one', b: 'two', differences: [] })
    const ratio = report.comparison?.loads[0]?.ratios.find(({ measure }) => measure === 'mean_itl_ms')
    expect(ratio?.median).toBeGreaterThan(1.5)
    expect(ratio?.b).toBeGreaterThan(ratio?.a ?? 0)
    expect(report.runs.map(({ drawbridge }) => drawbridge.server)).toEqual(['one', 'one', 'two', 'two'])
  })

  it('names one server\'s reports by their files, in all of the report', () => {
    const [a, b] = [write('a.json', sweep()), write('b.json', sweep())]
    const report = compare(a, b)
    expect(report.comparison).toMatchObject({ a, b })
    expect(report.saturation.map(({ server }) => server)).toEqual([a, b])
  })

  it('tells a file from itself', () => {
    const a = write('a.json', sweep())
    const report = compare(a, `${folder}/../${path.basename(folder)}/a.json`)
    expect(report.comparison?.a).toBe(`A (${a})`)
    expect(report.comparison?.b).toMatch(/^B \(.*a\.json\)$/)
    expect(new Set(report.runs.map(({ drawbridge }) => drawbridge.server)).size).toBe(2)
  })

  it('says what else than the server differs, with both values', () => {
    const a = write('a.json', sweep())
    const b = write('b.json', sweep({ model: 'other', isStreaming: false, details: { workload: 'chat of 9 tokens', seed: 7 } }))
    const report = compare(a, b)
    expect(report.comparison?.differences).toEqual([
      `The workload differs: chat: inputs around 100 tokens, outputs around 60 in ${a}, chat of 9 tokens in ${b}`,
      `The seed differs: 42 in ${a}, 7 in ${b}`,
      `The model differs: demo in ${a}, other in ${b}`,
      `The streaming differs: on in ${a}, off in ${b}`
    ])
    expect(terminalReport(report)).toContain(`Warning: The seed differs: 42 in ${a}, 7 in ${b}.`)
    expect(htmlReport(report)).toContain(`The seed differs: 42 in ${a}, 7 in ${b}`)
    expect(htmlReport(compare(a, a))).not.toContain('More than the server differs')
  })

  it('leaves out what was interrupted', () => {
    const [whole, cut] = [sweep()[0]!, sweep({ details: { was_interrupted: true } })[1]!]
    const report = compare(write('a.json', [whole, cut]), write('b.json', sweep()))
    expect(report.comparison?.loads).toHaveLength(1)
    const b = write('b.json', [cut])
    expect(() => compare(write('a.json', [whole]), b)).toThrow(`${b} has no run that was not interrupted`)
  })

  it('refuses reports of several servers, and such as have nothing in common', () => {
    const several = write('several.json', [syntheticRun(), syntheticRun({ server: 'other' })])
    expect(() => compare(several, several)).toThrow(`${several} has runs of 2 servers; --compare takes reports of one`)
    const [a, b] = [write('a.json', [syntheticRun({ concurrency: 1 })]), write('b.json', [syntheticRun({ concurrency: 2 })])]
    expect(() => compare(a, b)).toThrow(`${a} and ${b} have no load in common`)
  })
})

describe('readRuns', () => {
  const file = path.join(folder, 'read.json')
  const single = { drawbridge_bench: 1, ...syntheticRun({ requests: 2, models: ['a', 'b'], hasObjectives: true, failedShare: 0.5 }) }

  it('reads what was written', () => {
    writeJson(file, syntheticReport([syntheticRun({ requests: 5, tenants: ['a', 'b'], hasObjectives: true })]))
    expect(readRuns(file)).toEqual([syntheticRun({ requests: 5, tenants: ['a', 'b'], hasObjectives: true })])
    writeJson(file, syntheticReport(sweep()))
    expect(readRuns(file)).toEqual(sweep())
  })

  it.each([
    ['not JSON', /^The report .*read\.json cannot be read: /],
    ['null', /^.*read\.json is no report of drawbridge bench/],
    ['{"runs":[{}]}', /^.*read\.json is no report of drawbridge bench, in which drawbridge_bench is 1/],
    ['{"drawbridge_bench":1,"runs":[{}]}', /^.*read\.json is no whole report of drawbridge bench: runs\[0\]\.date: .*string/],
    ['{"drawbridge_bench":1,"runs":{}}', /bench: runs: .*array/],
    ['{"drawbridge_bench":1}', /bench: date: /],
    [JSON.stringify({ ...single, itls: [[1], ['x']] }), /bench: itls: must be a list of lists of numbers$/],
    [JSON.stringify({ ...single, drawbridge: { ...single.drawbridge, latencies: {} } }), /bench: drawbridge\.latencies\.ttft: /]
  ])('names the file and the field at fault: %.40s', (text, message) => {
    writeFileSync(file, text)
    expect(() => readRuns(file)).toThrow(message)
  })
})
