/**
 * The known name that a mistyped one most likely means, or null when none is near. Case, dashes and underscores do not
 * count, so `max_queue` finds `maxQueue`; otherwise at most a third of the letters (and never more than three) may differ.
 */
export function suggest (mistyped: string, known: readonly string[]): string | null {
  const wanted = normalize(mistyped)
  let best: string | null = null
  let bestDistance = Math.min(3, Math.floor(wanted.length / 3)) + 1
  for (const name of known) {
    const distance = editDistance(wanted, normalize(name))
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean X?`, or nothing. */
export function didYouMean (mistyped: string, known: readonly string[]): string {
  const name = suggest(mistyped, known)
  return name === null ? '' : `; did you mean ${name}?`
}

const normalize = (name: string): string => name.toLowerCase().replace(/^-+/, '').replace(/[-_ ]/g, '')

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function editDistance (a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Infinity
  for (let row = 1; row <= a.length; row++) {
    rows[row] = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(row - 1, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1)
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const swapped = row > 1 && column > 1 && isSwap ? at(row - 2, column - 2) + 1 : Infinity
      rows[row]![column] = Math.min(at(row - 1, column) + 1, at(row, column - 1) + 1, replaced, swapped)
    }
  }
  return at(a.length, b.length)
}
