/** Of a list, so many entries become one text at a time. */
const entriesAtOnce = 1000
/** Texts are put together up to this length: many small writes are slow. */
const partLength = 1 << 20

/**
 * The JSON of a value in parts, for values whose text is longer than a string may be (512 MiB in V8; a run of 26 million gaps has
 * more). What `JSON.stringify` leaves out of objects is left out here too; `toJSON` is not looked for.
 */
export function * jsonParts (value: unknown): Generator<string> {
  let part = ''
  for (const text of textsOf(value)) {
    part += text
    if (part.length < partLength) continue
    yield part
    part = ''
  }
  if (part !== '') yield part
}

function * textsOf (value: unknown): Generator<string> {
  if (Array.isArray(value)) yield * textsOfList(value)
  else if (typeof value === 'object' && value !== null) yield * textsOfObject(value)
  else yield JSON.stringify(value) ?? 'null'
}

function * textsOfList (list: readonly unknown[]): Generator<string> {
  const isFlat = list.every((entry) => typeof entry !== 'object' || entry === null)
  yield '['
  if (isFlat) {
    for (let start = 0; start < list.length; start += entriesAtOnce) {
      yield `${start === 0 ? '' : ','}${JSON.stringify(list.slice(start, start + entriesAtOnce)).slice(1, -1)}`
    }
  } else {
    for (const [index, entry] of list.entries()) {
      if (index > 0) yield ','
      yield * textsOf(entry)
    }
  }
  yield ']'
}

function * textsOfObject (object: object): Generator<string> {
  let separator = '{'
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined || typeof value === 'function') continue
    yield `${separator}${JSON.stringify(key)}:`
    yield * textsOf(value)
    separator = ','
  }
  yield separator === '{' ? '{}' : '}'
}
