import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { z } from 'zod'

/**
 * Facts about this machine that took time to find out, one small file for each, so that the next start need not. It is
 * only a memory: what is lost, unreadable or cannot be written is found out again.
 */
export class FactMemory {
  readonly #folder: string | null

  /** @param folder null remembers nothing. */
  constructor (folder: string | null) {
    this.#folder = folder
  }

  /** @param key everything that the fact depends on, as plain data. */
  recall <Schema extends z.ZodType>(kind: string, key: object, schema: Schema): z.infer<Schema> | null {
    if (this.#folder === null) return null
    try {
      const { key: writtenKey, fact } = JSON.parse(readFileSync(this.#file(kind, key), 'utf8')) as { key?: unknown, fact?: unknown }
      if (JSON.stringify(writtenKey) !== JSON.stringify(key)) return null
      const parsed = schema.safeParse(fact)
      return parsed.success ? parsed.data : null
    } catch {
      return null
    }
  }

  remember (kind: string, key: object, fact: unknown): void {
    if (this.#folder === null) return
    const file = this.#file(kind, key)
    const draft = `${file}.${process.pid}`
    try {
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(draft, `${JSON.stringify({ key, fact }, null, 2)}\n`)
      // In one go, so that another server that starts now never reads half of it.
      renameSync(draft, file)
    } catch {
      // Read-only, full, or no home: the price is the time of the next start.
    }
  }

  #file (kind: string, key: object): string {
    const name = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)
    return path.join(this.#folder ?? '', kind, `${name}.json`)
  }
}
