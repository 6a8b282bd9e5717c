import type { FastifyRequest } from 'fastify'
import type { ActionName, ActionSubject } from '../telemetry/observer.ts'

/** Notes for the audit log what a request is to change; before it is known whether it may, and again when more is known. */
export function noteAction ({ requestContext }: FastifyRequest, name: ActionName, subject: ActionSubject = {}): void {
  requestContext.action = { name, subject: { ...requestContext.action?.subject, ...subject } }
}

/** An adapter's source without what may be a password. */
export function plainSource (reference: string): string {
  const url = /^https?:/i.test(reference) && URL.canParse(reference) ? new URL(reference) : null
  return url === null ? reference : `${url.origin}${url.pathname}`
}
