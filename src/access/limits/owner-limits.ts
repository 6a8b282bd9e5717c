import { changedLimits, type Limits, type LimitsChange } from '../../domain/limits.ts'
import type { Database, Queries } from '../storage/database.ts'

/** The limits that all keys of an owner share, in the database. */
export class OwnerLimits {
  readonly #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /** None for owners that nobody has limited. */
  async get (owner: string): Promise<Limits> {
    return await read(this.#database, owner, '')
  }

  async change (owner: string, change: LimitsChange): Promise<Limits> {
    return await this.#database.transaction(async (queries) => {
      await queries.query('INSERT INTO drawbridge_owners (owner, limits) VALUES (?, ?) ON CONFLICT (owner) DO NOTHING', [owner, '{}'])
      const limits = changedLimits(await read(queries, owner, this.#database.kind === 'postgresql' ? ' FOR UPDATE' : ''), change)
      await queries.query('UPDATE drawbridge_owners SET limits = ? WHERE owner = ?', [JSON.stringify(limits), owner])
      return limits
    })
  }
}

async function read (queries: Queries, owner: string, hold: string): Promise<Limits> {
  const [row] = await queries.query(`SELECT limits FROM drawbridge_owners WHERE owner = ?${hold}`, [owner])
  return row === undefined ? {} : JSON.parse(String(row['limits'])) as Limits
}
