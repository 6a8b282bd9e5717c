import type { Queries } from '../access/storage/database.ts'
import { ServerError } from '../domain/errors.ts'

/** How many bytes files and the lines of unfinished batches may take. */
export interface StorageQuota {
  readonly perOwner: number
  readonly total: number
}

const sumOf = (condition: string): string => `(SELECT COALESCE(SUM(bytes), 0) FROM drawbridge_files WHERE state <> 'deleted'${condition})
  + (SELECT COALESCE(SUM(held_bytes), 0) FROM drawbridge_batches WHERE holds_lines = 1${condition})`

/**
 * Two that write at the same time may both be let in; then there is a piece more than the quota, once.
 * @param more bytes that are to be written
 * @throws ServerError `storage_quota_exceeded`
 */
export async function checkQuota ({ query }: Queries, owner: string, more: number, { perOwner, total }: StorageQuota): Promise<void> {
  const [row] = await query(`SELECT ${sumOf(' AND owner = ?')} AS own, ${sumOf('')} AS all_bytes`, [owner, owner])
  const own = Number(row?.['own'] ?? 0)
  if (own + more > perOwner) {
    throw new ServerError('storage_quota_exceeded', `Your files and batches take ${own} bytes, and ${perOwner} is the limit (--file-quota); delete files, or wait until they expire`)
  }
  if (Number(row?.['all_bytes'] ?? 0) + more > total) {
    throw new ServerError('storage_quota_exceeded', `The files and batches of everybody take up the limit of ${total} bytes (--file-total-quota)`)
  }
}
