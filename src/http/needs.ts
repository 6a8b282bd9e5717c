import type { FastifyRequest } from 'fastify'
import { hasOneOf, type Scope } from '../domain/scopes.ts'
import { ServerError } from '../domain/errors.ts'

/**
 * Options of a route: a key needs one of these scopes for it; `any` is any key. Routes that say nothing are for admins.
 */
export const needs = (...scopes: readonly Scope[] | readonly ['any']): { readonly config: { readonly scopes: readonly Scope[] | 'any' } } =>
  ({ config: { scopes: scopes[0] === 'any' ? 'any' : scopes as readonly Scope[] } })

/** Options of a route that runs models. */
export const runsModels = { config: { ...needs('inference').config, isLimited: true } }

/** @throws ServerError `permission_denied` unless whoever asks has one of the scopes that the route needs */
export function checkScopes ({ requestContext: { caller }, routeOptions: { config } }: FastifyRequest): void {
  const { scopes = [] } = config
  if (scopes === 'any' || hasOneOf(caller.scopes, scopes)) return
  const wanted = [...new Set<Scope>([...scopes, 'admin'])].map((scope) => `"${scope}"`).join(' or ')
  throw new ServerError('permission_denied', caller.isAnonymous
    ? scopes.includes('adapters')
      ? 'Without API keys, only programs on this machine may do this, and not through a proxy; --admin-key lets others'
      : 'This takes an admin\'s key, and there are no API keys yet; make the first one with drawbridge keys create, on the server\'s machine'
    : `This takes a key with the scope ${wanted}, but yours has ${caller.scopes.map((scope) => `"${scope}"`).join(', ')}`)
}
