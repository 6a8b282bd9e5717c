import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { checkWritable } from '../../../src/bench/report/report-file.ts'
import { writeReport } from '../../../src/bench/report/write-report.ts'
import { syntheticReport, syntheticRun } from './synthetic-report.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-report-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fileIn = (name: string): string => path.join(folder, name)

describe('checkWritable', () => {
  it('leaves no file behind, and none changed', () => {
    checkWritable('--json', fileIn('new.json'))
    expect(existsSync(fileIn('new.json'))).toBe(false)
    writeFileSync(fileIn('old.json'), 'old')
    checkWritable('--json', fileIn('old.json'))
    expect(readFileSync(fileIn('old.json'), 'utf8')).toBe('old')
    checkWritable('--json', null)
  })

  it.each([['', /^--json .* cannot be written: it is a folder$/], ['missing/x.json', /^--json .*x\.json cannot be written: ENOENT/]])('finds out that "%s" cannot be written', (name, message) => {
    expect(() => checkWritable('--json', fileIn(name))).toThrow(message)
  })
})

describe('writeReport', () => {
  const one = syntheticReport([syntheticRun({ requests: 3 })])
  const blocked = fileIn('folder')
  mkdirSync(blocked)

  it('writes one run as a flat object, several as a list', () => {
    expect(writeReport(one, { jsonFile: fileIn('one.json'), htmlFile: fileIn('one.html') })).toEqual([fileIn('one.json'), fileIn('one.html')])
    expect(JSON.parse(readFileSync(fileIn('one.json'), 'utf8'))).toMatchObject({ drawbridge_bench: 1, num_prompts: 3, drawbridge: { server: 'drawbridge' } })
    const two = syntheticReport([...one.runs, ...one.runs])
    writeReport(two, { jsonFile: fileIn('two.json'), htmlFile: null })
    expect(JSON.parse(readFileSync(fileIn('two.json'), 'utf8'))).toEqual(two)
  })

  it('writes the page when the JSON cannot be written, and the other way round', () => {
    expect(() => writeReport(one, { jsonFile: blocked, htmlFile: fileIn('a.html') })).toThrow(new RegExp(`^--json ${blocked} cannot be written: .*; written: ${fileIn('a.html')}$`))
    expect(readFileSync(fileIn('a.html'), 'utf8')).toMatch(/<\/html>\n$/)
    expect(() => writeReport(one, { jsonFile: fileIn('a.json'), htmlFile: blocked })).toThrow(`--html ${blocked} cannot be written`)
    expect(JSON.parse(readFileSync(fileIn('a.json'), 'utf8'))).toHaveProperty('num_prompts', 3)
    expect(() => writeReport(one, { jsonFile: blocked, htmlFile: blocked })).toThrow(/--json .*; --html /)
  })
})
