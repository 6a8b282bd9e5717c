import { expect, it } from 'vitest'
import { durationText, toAnthropicRateHeaders, toOpenAiRateHeaders } from '../../../src/http/rate-headers.ts'

it.each([[0, '0ms'], [120, '120ms'], [999, '999ms'], [1000, '1s'], [8640, '8.64s'], [60_000, '1m0s'], [360_000, '6m0s'], [90_500, '1m30.5s'], [3_600_000, '1h0m0s'], [59_999.6, '1m0s']])('%d ms is %s to OpenAI\'s clients', (milliseconds, text) => {
  expect(durationText(milliseconds)).toBe(text)
})

it('tells each of the two what there is of it', () => {
  const requests = { limit: 60, remaining: 59, resetMs: 1000 }
  expect(toOpenAiRateHeaders({ requests, tokens: null })).toEqual({ 'x-ratelimit-limit-requests': '60', 'x-ratelimit-remaining-requests': '59', 'x-ratelimit-reset-requests': '1s' })
  expect(toAnthropicRateHeaders({ requests: null, tokens: requests }, Date.parse('2026-11-26T08:00:00.200Z'))).toEqual({
    'anthropic-ratelimit-tokens-limit': '60', 'anthropic-ratelimit-tokens-remaining': '59', 'anthropic-ratelimit-tokens-reset': '2026-11-26T08:00:02Z'
  })
})
