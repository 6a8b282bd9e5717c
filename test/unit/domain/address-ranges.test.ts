import { describe, expect, it } from 'vitest'
import { AddressRanges, bareAddress, isAddressRange } from '../../../src/domain/address-ranges.ts'

describe('ranges of addresses', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['192.168.1.7', '192.168.1.7', true],
    ['192.168.1.7', '192.168.1.8', false],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['::1', '::1', true],
    ['0.0.0.0/0', '8.8.8.8', true],
    ['0.0.0.0/0', '::1', false],
    ['0.0.0.0/0', 'localhost', false],
    ['0.0.0.0/0', '', false]
  ])('%s has %s: %s', (range, address, expected) => {
    expect(new AddressRanges(['203.0.113.9', range]).includes(address)).toBe(expected)
  })

  it.each(['', 'localhost', '10.0.0', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', 'fd00::/129', '10.0.0.0/8/8', '*'])('"%s" is none', (text) => {
    expect(isAddressRange(text)).toBe(false)
    expect(() => new AddressRanges([text])).toThrow(TypeError)
  })

  it('shows IPv4 addresses as what they are, and no others', () => {
    expect(bareAddress('::ffff:10.0.0.1')).toBe('10.0.0.1')
    expect(bareAddress('::ffff:a00:1')).toBe('::ffff:a00:1')
    expect(bareAddress('::1')).toBe('::1')
  })
})
