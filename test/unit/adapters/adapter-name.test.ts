import { describe, expect, it } from 'vitest'
import { isAdapterName } from '../../../src/adapters/adapter-name.ts'

describe('names of adapters', () => {
  it.each(['a', 'pirate', 'team/pirate-v2', 'v1.5', 'base:pirate', 'mon adaptateur', 'Übersetzer', '_x', 'a'.repeat(128)])('may be %j', (name) => {
    expect(isAdapterName(name)).toBe(true)
  })

  // The signs of adapter keys would let one adapter pass for another in caches; a comma would be two names in metrics.
  it.each(['', ' a', 'a ', '.hidden', '/etc', '-a', ':a', 'a#1', 'a@1', 'a+b', 'a,b', 'a"b', 'a\nb', 'a\\b', 'a'.repeat(129)])('may not be %j', (name) => {
    expect(isAdapterName(name)).toBe(false)
  })
})
