import type { ManagedKeys } from '../../access/keys/managed-keys.ts'
import { ServerError } from '../../domain/errors.ts'
import { toKeyObject } from '../key-object.ts'
import { needs } from '../needs.ts'
import { keyQuerySchema, readNewKey, rotateKeySchema } from '../schemas/key-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

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
    const { secret, key } = await keys().create(readNewKey(request.body, Date.now()))
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
