/** A value as text that tells all values apart that come out of JSON: numbers too large for a double as well, of which there is no JSON. */
export const contentOf = (value: unknown): string =>
  JSON.stringify(value, (_name, part: unknown) => part === Infinity || part === -Infinity ? { infinite: String(part) } : part)
