import { randomBytes } from 'node:crypto'
import type { Caller } from '../access/caller.ts'

/** The header that a request of the server to itself carries its credential in. */
export const internalHeader = 'x-drawbridge-internal'

/** Whom a request of the server to itself is made for, and what ends it early. */
export interface InternalRequest {
  readonly caller: Caller
  readonly signal: AbortSignal
}

/**
 * Lets requests in that the server makes for somebody whose own request is over. Each credential is good for one request of this process, and
 * nobody can guess it.
 */
export class InternalRequests {
  readonly #expected = new Map<string, InternalRequest>()

  /** @returns the credential; `withdraw` is to be called when the request is over */
  expect (request: InternalRequest): string {
    const credential = randomBytes(32).toString('base64url')
    this.#expected.set(credential, request)
    return credential
  }

  withdraw (credential: string): void {
    this.#expected.delete(credential)
  }

  /** @returns null for what is no credential; then the request is anybody's */
  take (credential: string | undefined): InternalRequest | null {
    if (credential === undefined) return null
    const request = this.#expected.get(credential) ?? null
    this.#expected.delete(credential)
    return request
  }
}
