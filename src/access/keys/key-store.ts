import { ServerError } from '../../domain/errors.ts'
import { changedLimits, type Limits, type LimitsChange } from '../../domain/limits.ts'
import { type Priority, rankOf } from '../../domain/priority.ts'
import type { Scope } from '../../domain/scopes.ts'
import type { Database, Queries, Row, SqlValue } from '../storage/database.ts'
import { type ApiKey, type NewKey, stateOfKey } from './api-key.ts'
import { createSecretKey, digestOf, type SecretKey } from './secret-key.ts'

/** A key with its secret, which nobody sees again. */
export interface CreatedKey {
  readonly secret: string
  readonly key: ApiKey
}

/** What may be changed of a key that is there; what is absent stays. */
export type KeyChange = { readonly [Member in 'name' | 'scopes' | 'models' | 'adapters' | 'weight']?: NewKey[Member] | undefined } & { readonly limits?: LimitsChange | undefined }

export interface KeyPage {
  /** The id of the key before the page; absent for the first. */
  readonly after?: string | undefined
  readonly limit: number
}

/** A key with what is said of its owner. */
export interface FoundKey extends ApiKey {
  readonly ownerLimits: Limits
}

/** What administrators do to keys. */
export interface KeyAdministration {
  /** @throws ServerError `invalid_value` for what contradicts itself */
  create (wish: NewKey): Promise<CreatedKey>
  /** Oldest first, with those that are revoked or have expired. */
  list (owner?: string, page?: KeyPage): Promise<readonly ApiKey[]>
  /** @throws ServerError `key_not_found` */
  update (id: string, change: KeyChange): Promise<ApiKey>
  /**
   * Makes a key that is as the old one in all but its secret, which goes on for `overlapMs`.
   * @throws ServerError `key_not_found`, `invalid_value` for one that is no longer in use
   */
  rotate (id: string, overlapMs: number): Promise<CreatedKey>
  /** Of one that is revoked already nothing changes. @throws ServerError `key_not_found` */
  revoke (id: string): Promise<ApiKey>
}

/** How often the last use of a key is written. */
const useIntervalMs = 60_000

/** The keys in the database. Rows are never removed: who has had keys once is not open to everybody because the last one was revoked. */
export class KeyStore implements KeyAdministration {
  readonly #database: Database
  readonly #now: () => number

  /** @param now milliseconds since 1970 */
  constructor (database: Database, now: () => number = Date.now) {
    this.#database = database
    this.#now = now
  }

  async create (wish: NewKey): Promise<CreatedKey> {
    const { priority, highestPriority, expiresAt } = wish
    if (expiresAt !== null && expiresAt <= this.#now()) throw new ServerError('invalid_value', 'The time at which the key expires is over already', { param: 'expires_at' })
    const isAboveHighest = rankOf(priority) < rankOf(highestPriority)
    if (isAboveHighest && highestPriority === 'batch') {
      throw new ServerError('invalid_value', `The priority "${priority}" is more urgent than "batch", the most that requests with the key may ask for`, { param: 'highest_priority' })
    }
    // An interactive key may ask for what its requests are anyway.
    return await insert(this.#database, { ...wish, highestPriority: isAboveHighest ? priority : highestPriority }, this.#now())
  }

  async list (owner?: string, { after, limit }: Partial<KeyPage> = {}): Promise<readonly ApiKey[]> {
    const position = after === undefined ? null : await this.get(after)
    const conditions: readonly (readonly [string, readonly SqlValue[]])[] = [
      ...owner === undefined ? [] : [['owner = ?', [owner]] as const],
      ...position === null ? [] : [['(created_at > ? OR (created_at = ? AND id > ?))', [position.createdAt, position.createdAt, position.id]] as const]
    ]
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.map(([condition]) => condition).join(' AND ')}`
    const rows = await this.#database.query(
      `SELECT * FROM drawbridge_api_keys ${where} ORDER BY created_at, id${limit === undefined ? '' : ' LIMIT ?'}`,
      [...conditions.flatMap(([, values]) => values), ...limit === undefined ? [] : [limit]]
    )
    return rows.map(toKey)
  }

  async update (id: string, change: KeyChange): Promise<ApiKey> {
    return await this.#database.transaction(async (queries) => {
      const hold = this.#database.kind === 'postgresql' ? ' FOR UPDATE' : ''
      const old = toKey(found(await queries.query(`SELECT * FROM drawbridge_api_keys WHERE id = ?${hold}`, [id]), id))
      const { name = old.name, scopes = old.scopes, models = old.models, adapters = old.adapters, weight = old.weight, limits = {} } = change
      return toKey(found(await queries.query(
        'UPDATE drawbridge_api_keys SET name = ?, scopes = ?, models = ?, adapters = ?, weight = ?, limits = ? WHERE id = ? RETURNING *',
        [name, JSON.stringify(scopes), toJson(models), toJson(adapters), weight, JSON.stringify(changedLimits(old.limits, limits)), id]
      ), id))
    })
  }

  /** @throws ServerError `key_not_found` */
  async get (id: string): Promise<ApiKey> {
    return toKey(found(await this.#database.query('SELECT * FROM drawbridge_api_keys WHERE id = ?', [id]), id))
  }

  async rotate (id: string, overlapMs: number): Promise<CreatedKey> {
    return await this.#database.transaction(async (queries) => {
      const now = this.#now()
      const successor = createSecretKey()
      // The condition is in the statement, so that of two who rotate the same key at once only one does.
      const rows = await queries.query(
        `UPDATE drawbridge_api_keys SET replaced_by = ?, revoked_at = ?
         WHERE id = ? AND replaced_by IS NULL AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) RETURNING *`,
        [successor.id, now + overlapMs, id, now]
      )
      if (rows[0] === undefined) {
        const old = toKey(found(await queries.query('SELECT * FROM drawbridge_api_keys WHERE id = ?', [id]), id))
        const why = old.replacedBy !== null ? `was rotated to ${old.replacedBy}` : `is ${stateOfKey(old, now)}`
        throw new ServerError('invalid_value', `The key ${id} ${why}; only a key in use can be rotated`, { param: 'id' })
      }
      const old = toKey(rows[0])
      return await insert(queries, old, now, successor, old.firstId ?? old.id)
    })
  }

  async revoke (id: string): Promise<ApiKey> {
    const now = this.#now()
    const rows = await this.#database.query(
      'UPDATE drawbridge_api_keys SET revoked_at = CASE WHEN revoked_at IS NULL OR revoked_at > ? THEN ? ELSE revoked_at END WHERE id = ? RETURNING *',
      [now, now, id]
    )
    return toKey(found(rows, id))
  }

  /** A key and the digest of its secret. */
  async findDigest (id: string): Promise<{ readonly key: FoundKey, readonly digest: string } | null> {
    const [row] = await this.#database.query(
      'SELECT k.*, o.limits AS owner_limits FROM drawbridge_api_keys k LEFT JOIN drawbridge_owners o ON o.owner = k.owner WHERE k.id = ?', [id]
    )
    return row === undefined ? null : { key: { ...toKey(row), ownerLimits: toLimits(row['owner_limits']) }, digest: String(row['digest']) }
  }

  /** Whether there is any, in use or not. */
  async hasAny (): Promise<boolean> {
    return (await this.#database.query('SELECT 1 AS one FROM drawbridge_api_keys LIMIT 1')).length > 0
  }

  /** Writes that a key was used, unless somebody wrote that within the last minute. */
  async noteUse (id: string): Promise<void> {
    const now = this.#now()
    await this.#database.query(
      'UPDATE drawbridge_api_keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)', [now, id, now - useIntervalMs]
    )
  }
}

async function insert (queries: Queries, wish: NewKey, now: number, { secret, id }: SecretKey = createSecretKey(), firstId: string | null = null): Promise<CreatedKey> {
  const columns: Readonly<Record<string, SqlValue>> = {
    id,
    digest: digestOf(secret),
    owner: wish.owner,
    name: wish.name,
    scopes: JSON.stringify(wish.scopes),
    models: toJson(wish.models),
    adapters: toJson(wish.adapters),
    weight: wish.weight,
    priority: wish.priority,
    highest_priority: wish.highestPriority,
    names_users: wish.namesUsers ? 1 : 0,
    created_at: now,
    expires_at: wish.expiresAt,
    limits: JSON.stringify(wish.limits),
    first_id: firstId
  }
  const names = Object.keys(columns)
  const rows = await queries.query(
    `INSERT INTO drawbridge_api_keys (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')}) RETURNING *`, Object.values(columns)
  )
  return { secret, key: toKey(found(rows, id)) }
}

function found (rows: readonly Row[], id: string): Row {
  if (rows[0] === undefined) throw new ServerError('key_not_found', `There is no key with the id "${id.slice(0, 64)}"`, { param: 'id' })
  return rows[0]
}

const toJson = (list: readonly string[] | null): string | null => list === null ? null : JSON.stringify(list)
const fromJson = (text: SqlValue | undefined): string[] | null => typeof text === 'string' ? JSON.parse(text) as string[] : null
const toLimits = (text: SqlValue | undefined): Limits => typeof text === 'string' ? JSON.parse(text) as Limits : {}
const time = (value: SqlValue | undefined): number | null => typeof value === 'number' ? value : null

const toKey = (row: Row): ApiKey => ({
  id: String(row['id']),
  owner: String(row['owner']),
  name: String(row['name']),
  scopes: (fromJson(row['scopes']) ?? []) as Scope[],
  models: fromJson(row['models']),
  adapters: fromJson(row['adapters']),
  weight: Number(row['weight']),
  priority: row['priority'] as Priority,
  highestPriority: row['highest_priority'] as Priority,
  namesUsers: row['names_users'] === 1,
  createdAt: Number(row['created_at']),
  expiresAt: time(row['expires_at']),
  revokedAt: time(row['revoked_at']),
  lastUsedAt: time(row['last_used_at']),
  replacedBy: typeof row['replaced_by'] === 'string' ? row['replaced_by'] : null,
  limits: toLimits(row['limits']),
  firstId: typeof row['first_id'] === 'string' ? row['first_id'] : null
})
