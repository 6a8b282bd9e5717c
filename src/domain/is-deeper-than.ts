/** Levels of objects and lists within each other that schemas and arguments may have. */
export const mostLevels = 128

/** Whether objects and lists go deeper within each other. Iterative: JSON can nest deeper than the stack. */
export function isDeeperThan (value: unknown, most: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return true
    level = level.flatMap((item) => typeof item === 'object' && item !== null ? Object.values(item).filter((member) => typeof member === 'object' && member !== null) : [])
  }
  return false
}
