import type { ManagedKeys } from '../../access/keys/managed-keys.ts'
import { isKeyId, prefixOf } from '../../access/keys/secret-key.ts'
import { ServerError } from '../../domain/errors.ts'
import { toKeyObject } from '../key-object.ts'
import { needs } from '../needs.ts'
import { noteAction, noted } from '../note-action.ts'
import { keyPageQuerySchema, readKeyChange, readNewKey, rotateKeySchema } from '../schemas/key-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { ActionSubject } from '../../telemetry/observer.ts'
import type { Route } from '../services.ts'

interface ById { Params: { id: string } }

const subjectOf = (id: string): ActionSubject => ({ keyId: id, prefix: prefixOf(id) })

/** Not what has another form than an id: it may be a key that somebody took for one. */
const ofPath = ({ id }: ById['Params']): ActionSubject => isKeyId(id) ? subjectOf(id) : {}

/** `GET` and `POST /v1/admin/keys`, `GET`, `POST` and `DELETE /v1/admin/keys/{id}`, `POST /v1/admin/keys/{id}/rotate` */
export const adminKeysRoute: Route = (app, services) => {
  const admin = needs('admin')

  const keys = (): ManagedKeys => {
    if (services.keys === null) throw new ServerError('route_not_found', 'This server has no database of keys (--data-dir, --database-url)')
    return services.keys
  }

  app.get('/v1/admin/keys', admin, async (request) => {
    const { owner, after, limit } = parseRequest(keyPageQuerySchema, request.query)
    const list = await keys().list(owner, { after, limit: limit + 1 })
    return { object: 'list', data: list.slice(0, limit).map((key) => toKeyObject(key, Date.now())), has_more: list.length > limit }
  })

  app.post('/v1/admin/keys', noted('key.create', admin), async (request, reply) => {
    const wish = readNewKey(request.body, Date.now())
    noteAction(request, 'key.create', { owner: wish.owner, scopes: wish.scopes.join(' ') })
    const { secret, key } = await keys().create(wish)
    noteAction(request, 'key.create', subjectOf(key.id))
    reply.code(201)
    return { ...toKeyObject(key, Date.now()), key: secret }
  })

  app.get<ById>('/v1/admin/keys/:id', admin, async (request) => toKeyObject(await keys().get(request.params.id), Date.now()))

  app.post<ById>('/v1/admin/keys/:id', noted('key.update', admin, ofPath), async (request) => {
    const change = readKeyChange(request.body)
    noteAction(request, 'key.update', { members: Object.keys(change).join(' ') })
    return toKeyObject(await keys().update(request.params.id, change), Date.now())
  })

  app.post<ById>('/v1/admin/keys/:id/rotate', noted('key.rotate', admin, ofPath), async (request, reply) => {
    const { overlap } = parseRequest(rotateKeySchema, request.body ?? {})
    const { secret, key } = await keys().rotate(request.params.id, overlap * 1000)
    noteAction(request, 'key.rotate', { replacedBy: key.id })
    reply.code(201)
    return { ...toKeyObject(key, Date.now()), key: secret }
  })

  app.delete<ById>('/v1/admin/keys/:id', noted('key.revoke', admin, ofPath), async (request) => toKeyObject(await keys().revoke(request.params.id), Date.now()))
}
