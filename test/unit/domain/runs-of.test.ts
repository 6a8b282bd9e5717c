import { describe, expect, it } from 'vitest'
import { runsOf } from '../../../src/domain/runs-of.ts'

describe('runsOf', () => {
  it('takes neighbours together, in whatever order they come', () => {
    expect(runsOf([])).toEqual([])
    expect(runsOf([3, 1, 2])).toEqual([{ first: 1, last: 3 }])
    expect(runsOf([7, 3, 0, 2])).toEqual([{ first: 0, last: 0 }, { first: 2, last: 3 }, { first: 7, last: 7 }])
  })
})
