import { type ApiKey, stateOfKey } from '../../access/keys/api-key.ts'
import type { ManagedKeys } from '../../access/keys/managed-keys.ts'
import { prefixOf } from '../../access/keys/secret-key.ts'
import { ServerError } from '../../domain/errors.ts'
import { needs } from '../needs.ts'
import { createKeySchema, keyQuerySchema, rotateKeySchema } from '../schemas/key-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

const seconds = (milliseconds: number | null): number | null => milliseconds === null ? null : Math.floor(milliseconds / 1000)

export const toKeyObject = (key: ApiKey, now: number) => ({
  object: 'key',
  id: key.id,
  prefix: prefixOf(key.id),
  owner: key.owner,
  name: key.name,
  state: stateOfKey(key, now),
  scopes: key.scopes,
  models: key.models,
  adapters: key.adapters,
  weight: key.weight,
  priority: key.priority,
  highest_priority: key.highestPriority,
  names_users: key.namesUsers,
  created_at: seconds(key.createdAt),
  expires_at: seconds(key.expiresAt),
  revoked_at: seconds(key.revokedAt),
  last_used_at: seconds(key.lastUsedAt),
  replaced_by: key.replacedBy
})

interface ById { Params: { id: string } }

/** `GET` and `POST /v1/admin/keys`, `GET` and `DELETE /v1/admin/keys/{id}`, `POST /v1/admin/keys/{id}/rotate` */
export const adminKeysRoute: Route = (app, services) => {
  const admin = needs('admin')

  const keys = (): ManagedKeys => {
    if (services.keys === null) throw new ServerError('route_not_found', 'This server has no database of keys (--data-dir, --database-url)')
    return services.keys
  }

  app.get('/v1/admin/keys', admin, async (request) => {
    const { owner } = parseRequest(keyQuerySchema, request.query)
    const list = await keys().list(owner)
    return { object: 'list', data: list.map((key) => toKeyObject(key, Date.now())) }
  })

  app.post('/v1/admin/keys', admin, async (request, reply) => {
    const { highest_priority: highestPriority, names_users: namesUsers, expires_at: expiresAt, expires_in: expiresIn, ...wish } = parseRequest(createKeySchema, request.body)
    if (expiresAt !== undefined && expiresIn !== undefined) {
      throw new ServerError('invalid_value', 'Invalid value for \'expires_in\': it and \'expires_at\' say the same; leave one of them out', { param: 'expires_in' })
    }
    const { secret, key } = await keys().create({
      ...wish,
      highestPriority,
      namesUsers,
      expiresAt: expiresAt !== undefined ? expiresAt * 1000 : expiresIn === undefined ? null : Date.now() + expiresIn * 1000
    })
    reply.code(201)
    return { ...toKeyObject(key, Date.now()), key: secret }
  })

  app.get<ById>('/v1/admin/keys/:id', admin, async (request) => toKeyObject(await keys().get(request.params.id), Date.now()))

  app.post<ById>('/v1/admin/keys/:id/rotate', admin, async (request, reply) => {
    const { overlap } = parseRequest(rotateKeySchema, request.body ?? {})
    const { secret, key } = await keys().rotate(request.params.id, overlap * 1000)
    reply.code(201)
    return { ...toKeyObject(key, Date.now()), key: secret }
  })

  app.delete<ById>('/v1/admin/keys/:id', admin, async (request) => toKeyObject(await keys().revoke(request.params.id), Date.now()))
}
