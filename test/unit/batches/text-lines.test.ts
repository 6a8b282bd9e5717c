import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineTooLongError, readLines } from '../../../src/batches/text-lines.ts'

async function * piecesOf (pieces: readonly string[]): AsyncGenerator<string> {
  yield * pieces
}

async function read (pieces: readonly string[], longest = 1000): Promise<string[]> {
  const lines: string[] = []
  for await (const { number, text } of readLines(piecesOf(pieces), longest)) {
    expect(number).toBe(lines.length + 1)
    lines.push(text)
  }
  return lines
}

/** Cuts a text at the places that are in it. */
function cut (text: string, places: readonly number[]): string[] {
  const inside = [0, ...places.map((place) => place % (text.length + 1)), text.length].sort((a, b) => a - b)
  return inside.slice(1).map((end, index) => text.slice(inside[index], end))
}

describe('lines of a text in pieces', () => {
  it('are those of the text, wherever it is cut', async () => {
    const texts = fc.array(fc.constantFrom('a', 'bc', '\n', '\r\n', 'ü', '😀', ' '), { maxLength: 30 }).map((parts) => parts.join(''))
    await fc.assert(fc.asyncProperty(texts, fc.array(fc.nat(100), { maxLength: 8 }), async (text, places) => {
      const expected = text.split('\n').map((line) => line.replace(/\r$/, ''))
      if (text === '' || text.endsWith('\n')) expected.pop()
      expect(await read(cut(text, places))).toEqual(expected)
    }))
  })

  it('do not have a byte order mark in front, and elsewhere as it is', async () => {
    expect(await read(['\uFEFFa\n', '\uFEFFb'])).toEqual(['a', '\uFEFFb'])
    expect(await read(['', '\uFEFFa'])).toEqual(['a'])
  })

  it.each([
    ['with its end', ['ab', 'c\n'], 1],
    ['without one', ['ok\n', 'ab', 'cd'], 2],
    ['at the end', ['\n\nabcd'], 3]
  ])('are refused that are too long, %s, before all of it is read', async (_name, pieces, number) => {
    const endless = async function * () {
      yield * pieces
      throw new Error('It reads on')
    }
    const reading = async () => { for await (const line of readLines(endless(), 2)) expect(line.text.length).toBeLessThanOrEqual(2) }
    await expect(reading()).rejects.toMatchObject({ number })
    await expect(reading()).rejects.toBeInstanceOf(LineTooLongError)
  })
})
