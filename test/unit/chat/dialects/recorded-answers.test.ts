import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ToolDialect, toolDialects } from '../../../../src/domain/tool-dialect.ts'
import { type AnswerCase, collect, formatOf, partsOf } from './answer-cases.ts'
import { cohereCases } from './cases/cohere.ts'
import { deepseekCases } from './cases/deepseek.ts'
import { functionaryCases } from './cases/functionary.ts'
import { gemmaCases } from './cases/gemma.ts'
import { genericCases } from './cases/generic.ts'
import { glmCases } from './cases/glm.ts'
import { graniteCases } from './cases/granite.ts'
import { harmonyCases } from './cases/harmony.ts'
import { hermesCases } from './cases/hermes.ts'
import { kimiCases } from './cases/kimi.ts'
import { lfmCases } from './cases/lfm.ts'
import { llamaCases } from './cases/llama.ts'
import { minimaxCases } from './cases/minimax.ts'
import { mistralCases } from './cases/mistral.ts'
import { nemotronCases } from './cases/nemotron.ts'
import { phiCases } from './cases/phi.ts'
import { pythonicCases } from './cases/pythonic.ts'
import { qwenCoderCases } from './cases/qwen-coder.ts'
import { runs } from '../../../support/long-run.ts'

const casesOf: Readonly<Record<ToolDialect, readonly AnswerCase[]>> = {
  hermes: hermesCases,
  llama: llamaCases,
  mistral: mistralCases,
  deepseek: deepseekCases,
  granite: graniteCases,
  gemma: gemmaCases,
  harmony: harmonyCases,
  functionary: functionaryCases,
  cohere: cohereCases,
  glm: glmCases,
  kimi: kimiCases,
  lfm: lfmCases,
  minimax: minimaxCases,
  nemotron: nemotronCases,
  phi: phiCases,
  pythonic: pythonicCases,
  'qwen-coder': qwenCoderCases,
  generic: genericCases
}

/** The text in two pieces, for every place to cut it. */
const cuts = (text: string): string[][] => Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)])

describe.each(toolDialects)('answers in the format of %s', (name) => {
  const cases = casesOf[name]

  it('are known in at least 12 cases', () => {
    expect(cases.length).toBeGreaterThanOrEqual(12)
  })

  it.each(cases.map((each) => [each.what, each] as const))('with %s', (_what, { text, expected, format }) => {
    const whole = partsOf(formatOf(name, format), [text])
    expect(collect(whole)).toEqual(expected)
    expect(partsOf(formatOf(name, format), [...text])).toEqual(whole)
    for (const pieces of cuts(text)) expect(partsOf(formatOf(name, format), pieces)).toEqual(whole)
  })

  it.each([
    ['lists', '['],
    ['objects', '{"a":'],
    ['functions', '{"function":']
  ])('are read to their end when %s nest deeper than the stack', (_what, opening) => {
    const deep = opening.repeat(20_000)
    for (const before of ['<tool_call>', '<|tool_call_start|>[search(filter=', '[search(filter=', '']) {
      expect(partsOf(formatOf(name), [before + deep.slice(0, 7), deep.slice(7)])).toEqual(partsOf(formatOf(name), [before + deep]))
    }
  })

  it('are read alike however they are cut, also when they are mixed up or broken', () => {
    fc.assert(fc.property(
      fc.array(fc.constantFrom(...cases), { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(400), { maxLength: 12 }),
      fc.nat(400),
      fc.nat(8),
      (chosen, places, damagedAt, damage) => {
        const joined = chosen.map(({ text }) => text).join('\n')
        const at = Math.min(damagedAt, joined.length)
        const text = joined.slice(0, at) + joined.slice(at + damage)
        const edges = [0, ...[...new Set(places.map((place) => Math.min(place, text.length)))].sort((a, b) => a - b), text.length]
        const pieces = edges.slice(1).map((edge, index) => text.slice(edges[index], edge))
        const format = formatOf(name, chosen[0]?.format)
        expect(partsOf(format, pieces)).toEqual(partsOf(format, [text]))
        expect(partsOf(format, [...text])).toEqual(partsOf(format, [text]))
      }
    ), { numRuns: runs(100) })
  })
})
