import { readFileSync } from 'node:fs'

/** A small file's text, such as those in `/proc`; null where it cannot be read. */
export function readText (file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
