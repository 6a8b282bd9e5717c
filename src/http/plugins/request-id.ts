import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Ids of clients are taken over when they are short and harmless in a header and a log. */
const saneId = /^[\w.:-]{1,128}$/

export const createRequestId = (): string => `req_${randomUUID().replaceAll('-', '')}`

/** The client's `x-request-id`, or a new one. It names the exchange in the log; it need not be unique. */
export function requestIdOf (message: Pick<IncomingMessage, 'headers'>): string {
  const sent = message.headers['x-request-id']
  return typeof sent === 'string' && saneId.test(sent) ? sent : createRequestId()
}
