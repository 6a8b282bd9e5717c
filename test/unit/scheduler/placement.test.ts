import { describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asTenantId, asToken, type Token } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { place } from '../../../src/scheduler/policies/placement.ts'
import { Sequence } from '../../../src/scheduler/sequence.ts'
import { type Slot, SlotTable } from '../../../src/scheduler/slot-table.ts'

const prompt = (first: number, length: number): Token[] => Array.from({ length }, (_, index) => asToken(first + index))

const sequenceOf = (tokens: readonly Token[]): Sequence => new Sequence({
  id: asSequenceId('s'),
  tenant: asTenantId('t'),
  adapters: baseAdapterSet,
  prompt: tokens,
  maxTokens: 1,
  sampling: greedySampling,
  queueDeadline: Infinity,
  deadline: Infinity
}, 0)

/** `#` is a busy slot, `.` an empty one; a number is an idle one whose cache holds a prompt that starts with it. */
function tableOf (picture: string): SlotTable {
  const table = new SlotTable(1, picture.length)
  for (const [index, sign] of [...picture].entries()) {
    const slot = table.ofLane(asLaneId(0))[index] as Slot
    if (sign === '.') continue
    const tokens = prompt(sign === '#' ? 1000 : Number(sign) * 100, 60)
    table.take(slot, sequenceOf(tokens), 0, null)
    slot.residentLength = tokens.length
    if (sign !== '#') table.release(slot)
  }
  return table
}

describe('place', () => {
  it.each([
    { picture: '....', chosen: 0, why: 'all are alike' },
    { picture: '1.2.', chosen: 1, why: 'an empty cache is not missed' },
    { picture: '123', chosen: 0, why: 'the least recently used cache is missed least' },
    { picture: '..#.', chosen: 1, why: 'a neighbour of a busy slot is decoded with it' },
    { picture: '.#1#.', chosen: 2, why: 'filling a gap saves a pass, which is worth more than a cache' },
    { picture: '####', chosen: null, why: 'there is none' }
  ])('gives a new prompt slot $chosen of $picture: $why', ({ picture, chosen }) => {
    expect(place(sequenceOf(prompt(5000, 10)), tableOf(picture))?.slot.id ?? null).toBe(chosen)
  })

  it('continues a conversation in its own slot', () => {
    expect(place(sequenceOf(prompt(200, 80)), tableOf('123.'))).toMatchObject({ slot: { id: 1 }, keep: 60, copyFrom: null })
  })

  it('moves a conversation beside the busy slots by a copy', () => {
    expect(place(sequenceOf(prompt(200, 80)), tableOf('#..2'))).toMatchObject({ slot: { id: 1 }, keep: 60, copyFrom: { id: 3 } })
  })

  it('copies a prefix from a running sequence', () => {
    expect(place(sequenceOf(prompt(1000, 40)), tableOf('#...'))).toMatchObject({ slot: { id: 1 }, keep: 39, copyFrom: { id: 0 } })
  })
})
