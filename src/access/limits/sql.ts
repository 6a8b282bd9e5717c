import type { Database } from '../storage/database.ts'

/** SQL for the database's time in microseconds since 1970. SQLite's is that of its only machine. */
export const clockOf = (kind: Database['kind']): string => kind === 'postgresql'
  ? 'CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)'
  : 'CAST(unixepoch(\'subsec\') * 1000000 AS INTEGER)'

/** Few forms of each statement, so that all of them stay prepared. */
const groupSizes = [32, 8, 2, 1] as const

/** The items in their order, in groups of few different sizes. */
export function * inGroups<Item> (items: readonly Item[]): Iterable<readonly Item[]> {
  let done = 0
  for (const size of groupSizes) {
    for (; items.length - done >= size; done += size) yield items.slice(done, done + size)
  }
}

/** `(?, ?), (?, ?)` */
export const placeholders = (rows: number, columns: number): string =>
  Array.from({ length: rows }, () => `(${Array.from({ length: columns }, () => '?').join(', ')})`).join(', ')
