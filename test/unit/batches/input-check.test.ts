import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InputCheck, mostProblems } from '../../../src/batches/input-check.ts'
import { parseLine } from '../../../src/http/batches/parse-line.ts'

const endpoint = '/v1/chat/completions'
const good = { custom_id: 'a', method: 'POST', url: endpoint, body: { model: 'm', messages: [] } }

function check (lines: readonly unknown[], maxLines = 100) {
  const input = new InputCheck({ endpoint, maxLines, parse: parseLine })
  const taken = lines.map((line, index) => input.take({ number: index + 1, text: typeof line === 'string' ? line : JSON.stringify(line) }))
  input.end()
  return { input, taken }
}

describe('an input', () => {
  it('has a request for each line that is not empty', () => {
    const { input, taken } = check([good, '', '  \t', { ...good, custom_id: 'b', body: { model: 'n', stream: false, background: null } }])
    expect(input.problems).toEqual([])
    expect(taken).toEqual([
      { line: 1, customId: '"a"', request: '{"model":"m","messages":[]}' }, null, null, { line: 4, customId: '"b"', request: '{"model":"n","stream":false,"background":null}' }
    ])
    expect([input.count, input.model]).toEqual([2, 'm'])
  })

  it.each<[string, unknown, string, string | null]>([
    ['no JSON', '{"custom_id":', 'invalid_json_line', null],
    ['no object', '[1]', 'invalid_json_line', null],
    ['no object but null', 'null', 'invalid_json_line', null],
    ['far too much JSON', `[${'[],'.repeat(300_000)}0]`, 'invalid_json_line', null],
    ['no custom_id', { ...good, custom_id: undefined }, 'missing_required_parameter', 'custom_id'],
    ['an empty custom_id', { ...good, custom_id: '' }, 'invalid_custom_id', 'custom_id'],
    ['a custom_id that is a number', { ...good, custom_id: 1 }, 'invalid_custom_id', 'custom_id'],
    ['a custom_id that is too long', { ...good, custom_id: 'x'.repeat(513) }, 'invalid_custom_id', 'custom_id'],
    ['no method', { ...good, method: undefined }, 'missing_required_parameter', 'method'],
    ['another method', { ...good, method: 'GET' }, 'invalid_method', 'method'],
    ['no url', { ...good, url: undefined }, 'missing_required_parameter', 'url'],
    ['another url', { ...good, url: '/v1/embeddings' }, 'invalid_url', 'url'],
    ['no body', { ...good, body: undefined }, 'missing_required_parameter', 'body'],
    ['a body that is a list', { ...good, body: [] }, 'invalid_request', 'body'],
    ['no model', { ...good, body: {} }, 'missing_required_parameter', 'body.model'],
    ['a model that is null', { ...good, body: { model: null } }, 'invalid_request', 'body.model'],
    ['a stream', { ...good, body: { model: 'm', stream: true } }, 'invalid_request', 'body.stream'],
    ['work in the background', { ...good, body: { model: 'm', background: true } }, 'invalid_request', 'body.background'],
    ['a member that there is not', { ...good, priority: 1 }, 'unknown_parameter', 'priority']
  ])('with %s is refused by the number of the line', (_name, line, code, param) => {
    const { input, taken } = check([{ ...good, custom_id: 'first' }, line])
    expect(input.problems).toMatchObject([{ code, param, line: 2 }])
    expect(input.problems[0]?.message).not.toBe('')
    expect(taken[1]).toBeNull()
  })

  it('has each custom_id once', () => {
    const { input } = check([good, { ...good, custom_id: 'b' }, good])
    expect(input.problems).toMatchObject([{ code: 'duplicate_custom_id', line: 3 }])
  })

  it('has lines', () => {
    expect(check(['', ' ']).input.problems).toMatchObject([{ code: 'empty_file', line: null }])
  })

  it('has no more lines than the limit', () => {
    const lines = Array.from({ length: 4 }, (_, index) => ({ ...good, custom_id: String(index) }))
    expect(check(lines.slice(0, 3), 3).input).toMatchObject({ problems: [], isHopeless: false })
    expect(check(lines, 3).input).toMatchObject({ problems: [{ code: 'too_many_requests', line: null }], isHopeless: true })
  })

  it('has a bounded list of what is wrong', () => {
    const { input } = check(Array.from({ length: mostProblems + 20 }, () => 'x'), 1000)
    expect(input.problems).toHaveLength(mostProblems)
    expect(input.isHopeless).toBe(true)
  })

  it('is judged, whatever the lines are', () => {
    const lines = fc.oneof(fc.string(), fc.json(), fc.record({ custom_id: fc.jsonValue(), method: fc.constantFrom('POST', 'GET'), url: fc.constantFrom(endpoint, '/x'), body: fc.jsonValue() }).map((value) => JSON.stringify(value)))
    fc.assert(fc.property(fc.array(lines, { maxLength: 20 }), (texts) => {
      const { input, taken } = check(texts)
      const full = texts.filter((text) => text.trim() !== '')
      // Each is a request or a problem.
      expect(taken.filter((line) => line !== null).length + input.problems.filter(({ line }) => line !== null).length).toBe(full.length)
      for (const line of taken) if (line !== null) expect(typeof (JSON.parse(line.request) as { model: unknown }).model).toBe('string')
    }))
  })
})
