import { createHash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * A key is `sk-db-`, 12 characters by which it is recognised (and found), 32 of secret (190 bits) and 6 that check the rest. Whoever looks for
 * leaked keys finds them with `sk-db-[0-9A-Za-z]{50}`, and a misspelt one is refused without a look into the database.
 */
const start = 'sk-db-'
const idLength = 12
const secretLength = 32
const checkLength = 6

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const pattern = new RegExp(`^${start}([0-9A-Za-z]{${idLength}})[0-9A-Za-z]{${secretLength + checkLength}}$`)

const randomText = (length: number): string => Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')

function checkText (text: string): string {
  let rest = crc32(text)
  let digits = ''
  for (let index = 0; index < checkLength; index++) {
    digits = alphabet[rest % alphabet.length] + digits
    rest = Math.floor(rest / alphabet.length)
  }
  return digits
}

export interface SecretKey {
  /** What the client sends. Shown once, and kept nowhere. */
  readonly secret: string
  readonly id: string
}

export function createSecretKey (): SecretKey {
  const name = randomText(idLength)
  const text = start + name + randomText(secretLength)
  return { secret: text + checkText(text), id: `key_${name}` }
}

/** The id of the key that this is, if it is one at all: of the right form, and not misspelt. */
export function keyIdOf (secret: string): string | null {
  const name = pattern.exec(secret)?.[1]
  return name !== undefined && checkText(secret.slice(0, -checkLength)) === secret.slice(-checkLength) ? `key_${name}` : null
}

const idPattern = new RegExp(`^key_[0-9A-Za-z]{${idLength}}$`)

/** Whether a text has the form of a key's id. */
export const isKeyId = (text: string): boolean => idPattern.test(text)

/** How the key begins, for people to recognise it. */
export const prefixOf = (id: string): string => start + id.slice('key_'.length)

/** Keys have too much chance in them to be guessed, so that one round of a fast hash is enough. */
export const digestOf = (secret: string): string => createHash('sha256').update(secret, 'utf8').digest('hex')
