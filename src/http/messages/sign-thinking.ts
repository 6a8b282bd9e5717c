import { createHash } from 'node:crypto'

/**
 * A thinking block's signature. Clients take blocks without one for broken; this server takes any back, since thinking is
 * no more to it than what a client says of an earlier answer.
 */
export const signThinking = (thinking: string): string => createHash('sha256').update(thinking).digest('base64')
