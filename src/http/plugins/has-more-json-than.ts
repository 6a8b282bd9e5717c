const [quote, backslash, colon, bracket, brace] = [0x22, 0x5c, 0x3a, 0x5b, 0x7b]

/**
 * Whether a JSON text in UTF-8 has more members of objects, objects and lists, all counted together, than that. Takes one pass over the
 * bytes and no memory; what it says of a text that is not JSON means nothing.
 */
export function hasMoreJsonThan (bytes: Uint8Array, most: number): boolean {
  // Each takes a byte at least.
  if (bytes.length <= most) return false
  let count = 0
  let isText = false
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (isText) {
      if (byte === backslash) index++
      else if (byte === quote) isText = false
    } else if (byte === quote) {
      isText = true
    } else if ((byte === colon || byte === bracket || byte === brace) && ++count > most) {
      return true
    }
  }
  return false
}
