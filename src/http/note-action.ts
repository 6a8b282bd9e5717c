import type { FastifyRequest } from 'fastify'
import type { ActionName, ActionSubject } from '../telemetry/observer.ts'
import type { needs } from './needs.ts'

interface RouteAction<Params> {
  readonly name: ActionName
  /** What is known of it before it is known whether it may be done. */
  readonly subjectOf: (params: Params) => ActionSubject
}

/**
 * Options of a route that changes something: its requests are in the audit log, those too that are refused for want of a scope.
 * @param subjectOf what the path says of it
 */
export const noted = <Params> (name: ActionName, { config }: ReturnType<typeof needs>, subjectOf: (params: Params) => ActionSubject = () => ({})) =>
  ({ config: { ...config, action: { name, subjectOf } as RouteAction<unknown> } })

/** Notes what the request's route does, if it is one of those. */
export function noteRouteAction (request: FastifyRequest): void {
  const { action } = request.routeOptions.config
  if (action !== undefined) noteAction(request, action.name, action.subjectOf(request.params))
}

/** Notes for the audit log what a request is to change, when more of it is known. */
export function noteAction ({ requestContext }: FastifyRequest, name: ActionName, subject: ActionSubject = {}): void {
  requestContext.action = { name, subject: { ...requestContext.action?.subject, ...subject } }
}

/** An adapter's source without what may be a password. */
export function plainSource (reference: string): string {
  const url = /^https?:/i.test(reference) && URL.canParse(reference) ? new URL(reference) : null
  return url === null ? reference : `${url.origin}${url.pathname}`
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the audit log has of its requests. */
    action?: RouteAction<unknown>
  }
}
