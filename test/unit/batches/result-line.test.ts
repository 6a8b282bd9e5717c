import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toResultLine } from '../../../src/batches/result-line.ts'

const read = (text: string): unknown => JSON.parse(text) as unknown

describe('a line of an output file', () => {
  it('has what was answered, as it was', () => {
    expect(read(toResultLine('batch_1', { line: 7, customId: '"mine"', result: { statusCode: 200, requestId: 'batch_req_1_7', response: '{"a":[1.0]}' } }))).toEqual({
      id: 'batch_req_1_7', custom_id: 'mine', response: { status_code: 200, request_id: 'batch_req_1_7', body: { a: [1] } }, error: null
    })
  })

  it('says of what was never run that its time is over', () => {
    expect(read(toResultLine('batch_1', { line: 7, customId: '"mine"', result: null }))).toEqual({
      id: 'batch_req_1_7', custom_id: 'mine', response: null, error: { code: 'batch_expired', message: 'This request could not be executed before the completion window expired.' }
    })
  })

  it('is one line, whatever is in it', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.jsonValue(), (customId, body) => {
      const text = toResultLine('batch_1', { line: 1, customId: JSON.stringify(customId), result: { statusCode: 400, requestId: 'x', response: JSON.stringify(body) } })
      expect(text.indexOf('\n')).toBe(text.length - 1)
      expect(read(text)).toMatchObject({ custom_id: customId, response: { status_code: 400, body: JSON.parse(JSON.stringify(body)) as unknown } })
    }))
  })
})
