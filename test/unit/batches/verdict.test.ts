import { describe, expect, it } from 'vitest'
import { mostAttempts, verdictOf } from '../../../src/batches/verdict.ts'

const outcome = (statusCode: number, errorCode: string | null = null, retryAfterMs: number | null = null) => ({ statusCode, errorCode, retryAfterMs })

describe('what becomes of a line', () => {
  it.each([
    [200, null], [400, 'invalid_value'], [401, 'invalid_api_key'], [403, 'permission_denied'], [404, 'model_not_found'], [413, 'body_too_large'], [500, 'engine_error'], [500, 'internal_error']
  ])('an answer with %s is its result (%s)', (statusCode, errorCode) => {
    expect(verdictOf(outcome(statusCode, errorCode), 1)).toEqual({ type: 'done' })
  })

  it.each([[429, 'queue_full'], [429, 'some_limit'], [503, 'model_loading'], [503, 'queue_timeout'], [503, 'storage_unavailable']])('is asked again while the server says %s (%s), however often', (statusCode, errorCode) => {
    expect(verdictOf(outcome(statusCode, errorCode, 5000), 1000)).toEqual({ type: 'again', afterMs: 5000, isAttempt: false })
  })

  it('waits neither too short nor too long', () => {
    for (const [retryAfterMs, afterMs] of [[null, 1000], [0, 1000], [3_600_000, 60_000]] as const) expect(verdictOf(outcome(503, 'queue_timeout', retryAfterMs), 1)).toMatchObject({ afterMs })
  })

  it.each([[500, 'engine_crashed'], [504, 'generation_timeout']])('is tried again a few times where it may be its own fault: %s %s', (statusCode, errorCode) => {
    expect(verdictOf(outcome(statusCode, errorCode), 1)).toEqual({ type: 'again', afterMs: 1000, isAttempt: true })
    expect(verdictOf(outcome(statusCode, errorCode), mostAttempts - 1)).toMatchObject({ type: 'again' })
    expect(verdictOf(outcome(statusCode, errorCode), mostAttempts)).toEqual({ type: 'done' })
  })
})
