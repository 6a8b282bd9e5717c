import type { FastifyRequest } from 'fastify'
import { ServerError } from '../domain/errors.ts'
import type { HttpServices } from './services.ts'

/** @throws ServerError `permission_denied` unless whoever asks may change the server */
export function requireAdmin (request: FastifyRequest, { access }: Pick<HttpServices, 'access'>): void {
  if (!request.requestContext.caller.isAdmin) throw new ServerError('permission_denied', `Adapters cannot be changed: ${access.adminAdvice}`)
}
