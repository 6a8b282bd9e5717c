import type { ManagedKeys } from '../../access/keys/managed-keys.ts'
import { subjectsOfKey } from '../../access/subjects-of-key.ts'
import { ServerError } from '../../domain/errors.ts'
import type { Limits } from '../../domain/limits.ts'
import { type LimitedKey, toLimitStates } from '../limit-states.ts'
import { needs } from '../needs.ts'
import { noteAction, noted } from '../note-action.ts'
import { keyPageQuerySchema, ownerLimitsSchema, ownerPathSchema } from '../schemas/key-requests.ts'
import { toApiLimits, toChange } from '../schemas/limits.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { HttpServices, Route } from '../services.ts'

interface ByOwner { Params: { owner: string } }

/** `GET /v1/limits` of whoever asks, `GET /v1/admin/limits` of everybody, and `GET` and `POST /v1/admin/owners/{owner}/limits`. */
export const limitsRoute: Route = (app, services) => {
  const { limiter } = services
  const admin = needs('admin')

  const stateOf = async (keys: readonly LimitedKey[]) => {
    const states = await limiter.read(keys.flatMap(({ limits }) => limits.map(({ subject }) => subject)))
    return keys.map((key) => toLimitStates(key, states))
  }

  app.get('/v1/limits', needs('any'), async ({ requestContext: { caller } }) => (await stateOf([caller]))[0])

  app.get('/v1/admin/limits', admin, async (request) => {
    const { owner, after, limit } = parseRequest(keyPageQuerySchema, request.query)
    const configured = after === undefined ? services.access.configured().filter((key) => owner === undefined || key.owner === owner) : []
    const stored = services.keys === null ? [] : await services.keys.list(owner, { after, limit: limit + 1 })
    const ownerLimits = new Map<string, Limits>()
    const keys: LimitedKey[] = [...configured]
    for (const key of stored.slice(0, limit)) {
      const known = ownerLimits.get(key.owner) ?? await services.keys?.limitsOf(key.owner) ?? {}
      ownerLimits.set(key.owner, known)
      keys.push({ owner: key.owner, keyId: key.id, limits: subjectsOfKey({ ...key, ownerLimits: known }, services.config.limits) })
    }
    return { object: 'list', data: await stateOf(keys), has_more: stored.length > limit }
  })

  app.get<ByOwner>('/v1/admin/owners/:owner/limits', admin, async (request) => {
    const { owner } = parseRequest(ownerPathSchema, request.params)
    return toOwnerObject(owner, await keysOf(services).limitsOf(owner))
  })

  app.post<ByOwner>('/v1/admin/owners/:owner/limits', noted('owner.limit', admin), async (request) => {
    const { owner } = parseRequest(ownerPathSchema, request.params)
    noteAction(request, 'owner.limit', { owner })
    const { limits } = parseRequest(ownerLimitsSchema, request.body)
    return toOwnerObject(owner, await keysOf(services).limitOwner(owner, toChange(limits)))
  })
}

const toOwnerObject = (owner: string, limits: Limits) => ({ object: 'owner', owner, limits: toApiLimits(limits) })

function keysOf ({ keys }: HttpServices): ManagedKeys {
  if (keys === null) throw new ServerError('route_not_found', 'This server has no database of keys (--data-dir, --database-url)')
  return keys
}
