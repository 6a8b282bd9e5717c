import { describe, expect, it } from 'vitest'
import { createSecretKey, digestOf, keyIdOf, prefixOf } from '../../../../src/access/keys/secret-key.ts'

describe('secret keys', () => {
  it('have a form of their own, and are never the same', () => {
    const keys = Array.from({ length: 500 }, createSecretKey)
    for (const { secret, id } of keys) {
      expect(secret).toMatch(/^sk-db-[0-9A-Za-z]{50}$/)
      expect(keyIdOf(secret)).toBe(id)
      expect(secret.startsWith(prefixOf(id))).toBe(true)
    }
    expect(new Set(keys.map(({ id }) => id)).size).toBe(500)
    expect(new Set(keys.map(({ secret }) => secret.slice(18, 50))).size).toBe(500)
  })

  it('are refused when a character is wrong, missing or too much', () => {
    const { secret } = createSecretKey()
    for (let index = 6; index < secret.length; index++) {
      const other = secret[index] === 'x' ? 'y' : 'x'
      expect(keyIdOf(secret.slice(0, index) + other + secret.slice(index + 1))).toBeNull()
    }
    for (const wrong of ['', 'sk-db-', secret.slice(0, -1), `${secret}0`, ` ${secret}`, secret.replace('sk-db-', 'sk-xx-')]) expect(keyIdOf(wrong)).toBeNull()
  })

  it('are kept as SHA-256', () => {
    expect(digestOf('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })
})
