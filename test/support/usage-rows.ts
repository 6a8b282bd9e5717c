import type { UsageRow } from '../../src/access/usage/usage-row.ts'

/** A row of usage, as given and otherwise ordinary. */
export const usageRow = (given: Partial<UsageRow> & Pick<UsageRow, 'id'>): UsageRow => ({
  requestId: `req_${given.id}`, finishedAt: 1_795_685_146_693, owner: 'anna', tenant: 'anna/ben', keyId: 'key_1', model: 'm', adapters: [], endpoint: '/v1/chat/completions', promptTokens: 10, cachedTokens: 4, completionTokens: 5, queuedMs: 1, ttftMs: 20, durationMs: 300, finishReasons: ['stop'], outcome: 'ok', errorCode: null, ...given
})
