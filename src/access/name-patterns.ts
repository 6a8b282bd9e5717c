/** Which names somebody may use: patterns in which `*` stands for any characters; null is all names. */
export type NamePatterns = readonly string[] | null

export function matchesAny (patterns: NamePatterns, name: string): boolean {
  return patterns === null || patterns.some((pattern) => matches(pattern, name))
}

/** In linear time for each `*`, whatever the pattern is: the first fit of each piece is the best one. */
function matches (pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return name === pattern
  const last = rest.pop() ?? ''
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  const end = name.length - last.length
  let at = first.length
  for (const piece of rest) {
    const found = name.indexOf(piece, at)
    if (found === -1 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}
