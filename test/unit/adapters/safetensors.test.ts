import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSafetensors } from '../../../src/adapters/files/safetensors.ts'
import { adapterRefusal } from '../../../src/adapters/files/refusal.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { writeSafetensors, type TensorDefinition } from '../../support/peft-folder.ts'

const refuse = adapterRefusal('it')

const bytesOf = { F32: 4, F16: 2, BF16: 2, I64: 8, U8: 1 } as const

const tensorArbitrary: fc.Arbitrary<TensorDefinition> = fc.record({
  dtype: fc.constantFrom('F32', 'F16', 'BF16', 'I64', 'U8'),
  shape: fc.array(fc.nat(5), { maxLength: 4 })
}).map(({ dtype, shape }) => ({ dtype, shape, data: Buffer.alloc(shape.reduce((product, length) => product * length, bytesOf[dtype])) }))

const filesArbitrary = fc.dictionary(fc.string({ minLength: 1 }).filter((name) => name !== '__metadata__' && name !== '__proto__'), tensorArbitrary, { maxKeys: 6 })

function parse (file: Buffer) {
  const length = Number(file.readBigUInt64LE())
  return parseSafetensors(file.subarray(8, 8 + length), file.length, refuse)
}

const withHeader = (header: string, data = 0): Buffer => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)))
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)])
}

const refusalOf = (file: Buffer): string => {
  try {
    parse(file)
  } catch (error) {
    if (error instanceof ServerError && error.code === 'invalid_adapter') return error.message
    throw error
  }
  throw new Error('not refused')
}

describe('safetensors', () => {
  it('are read as they were written', () => {
    fc.assert(fc.property(filesArbitrary, (tensors) => {
      const file = writeSafetensors(tensors)
      let position = 8 + Number(file.readBigUInt64LE())
      const expected = Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
        position += data.length
        return { name, dtype, shape, position: position - data.length, sizeBytes: data.length }
      })
      const byName = (a: { readonly name: string }, b: { readonly name: string }): number => a.name < b.name ? -1 : 1
      expect(parse(file).toSorted(byName)).toEqual(expected.sort(byName))
    }))
  })

  it('are refused when the file is longer or shorter than its tensors', () => {
    fc.assert(fc.property(filesArbitrary, fc.integer({ min: -8, max: 8 }).filter((difference) => difference !== 0), (tensors, difference) => {
      const file = writeSafetensors(tensors)
      const header = file.subarray(8, 8 + Number(file.readBigUInt64LE()))
      expect(() => parseSafetensors(header, file.length + difference, refuse)).toThrow(/its tensors end at byte/)
    }))
  })

  it('are refused when an offset is another', () => {
    const two = { a: { dtype: 'F32', shape: [4], data: Buffer.alloc(16) }, b: { dtype: 'F16', shape: [2, 3], data: Buffer.alloc(12) } }
    const text = (() => {
      const file = writeSafetensors(two)
      return file.toString('utf8', 8, 8 + Number(file.readBigUInt64LE()))
    })()
    const numbers = [...text.matchAll(/(?<=data_offsets":\[(?:\d+,)?)\d+/g)]
    expect(numbers).toHaveLength(4)
    fc.assert(fc.property(fc.constantFrom(...numbers), fc.oneof(fc.integer({ min: -40, max: 80 }), fc.double(), fc.maxSafeNat()), (match, value) => {
      const changed = `${text.slice(0, match.index)}${JSON.stringify(value)}${text.slice(match.index + match[0].length)}`
      fc.pre(Number(match[0]) !== value)
      expect(refusalOf(withHeader(changed, 28))).toContain('The adapter it is damaged')
    }))
  })

  it('are refused, and nothing else happens, when the header is anything', () => {
    const entry = fc.oneof(fc.anything(), fc.record({ dtype: fc.oneof(fc.constant('F32'), fc.anything()), shape: fc.oneof(fc.array(fc.anything()), fc.array(fc.double())), data_offsets: fc.array(fc.oneof(fc.double(), fc.anything())) }))
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string(), fc.dictionary(fc.string(), entry, { minKeys: 1 }).map((value) => JSON.stringify(value, (_, part: unknown) => typeof part === 'bigint' ? String(part) : part))), (header) => {
      try {
        for (const { sizeBytes } of parse(withHeader(header))) expect(sizeBytes).toBe(0)
      } catch (error) {
        expect(error).toBeInstanceOf(ServerError)
      }
    }), { numRuns: 500 })
  })

  it.each([
    ['text that is no UTF-8', Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFE]), 'its header is not JSON'],
    ['a list', withHeader('[]'), 'its header is no JSON object'],
    ['a number for a shape', withHeader('{"x":{"dtype":"F32","shape":3,"data_offsets":[0,12]}}', 12), 'its entry of x is not {dtype, shape, data_offsets}'],
    ['lengths that only overflow to fit', withHeader('{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'), 'x has 0 bytes of data, but its type and shape come to 73786976294838210000'],
    ['a type that there is not', withHeader('{"x":{"dtype":"constructor","shape":[3],"data_offsets":[0,12]}}', 12), 'has x in the unknown type constructor'],
    ['two tensors in one place', withHeader('{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"y":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}', 12), 'the data of y begins at byte'],
    ['a hole', withHeader('{"x":{"dtype":"F32","shape":[3],"data_offsets":[4,16]}}', 16), 'the data of x begins at byte 67, expected at 63']
  ])('are refused with %s', (_, file, message) => {
    expect(refusalOf(file)).toContain(message)
  })
})
