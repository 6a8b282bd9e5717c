const [quote, backslash, colon, comma, bracket, brace] = [0x22, 0x5c, 0x3a, 0x2c, 0x5b, 0x7b]

/** What a JSON text may have. */
export interface JsonLimits {
  /** Members of objects, objects and lists, all counted together. */
  readonly parts: number
  /** Commas: a list of numbers has one for each. */
  readonly commas: number
}

/**
 * Whether a JSON text in UTF-8 has more than that. Takes one pass over the bytes and no memory; what it says of a text that is not JSON
 * means nothing.
 */
export function hasMoreJsonThan (bytes: Uint8Array, most: JsonLimits): boolean {
  // Each takes a byte at least.
  if (bytes.length <= Math.min(most.parts, most.commas)) return false
  let parts = 0
  let commas = 0
  let isText = false
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (isText) {
      if (byte === backslash) index++
      else if (byte === quote) isText = false
    } else if (byte === quote) {
      isText = true
    } else if (byte === comma) {
      if (++commas > most.commas) return true
    } else if ((byte === colon || byte === bracket || byte === brace) && ++parts > most.parts) {
      return true
    }
  }
  return false
}
