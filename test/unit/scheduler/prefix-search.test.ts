import { describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asTenantId, asToken, type Token } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { findPrefix } from '../../../src/scheduler/policies/prefix-search.ts'
import { place } from '../../../src/scheduler/policies/placement.ts'
import { Sequence } from '../../../src/scheduler/sequence.ts'
import { readerFor } from '../../../src/scheduler/shared-prefill.ts'
import { SlotTable } from '../../../src/scheduler/slot-table.ts'

const range = (first: number, length: number): Token[] => Array.from({ length }, (_, index) => asToken(first + index))

let count = 0
const sequenceOf = (prompt: readonly Token[]): Sequence => new Sequence({
  id: asSequenceId(`s${count++}`),
  tenant: asTenantId('t'),
  adapters: baseAdapterSet,
  prompt,
  maxTokens: 1,
  sampling: greedySampling,
  queueDeadline: Infinity,
  deadline: Infinity
}, 0)

/** Gives it a slot as the scheduler does. */
function admit (sequence: Sequence, table: SlotTable): Sequence {
  const placement = place(sequence, table)
  if (placement === null) throw new Error('there is no free slot')
  table.take(placement.slot, sequence, placement.keep, placement.copyFrom)
  sequence.awaits = placement.awaits
  return sequence
}

describe('findPrefix', () => {
  it('waits for whom the others wait for, not for them, unless they share much more', () => {
    const table = new SlotTable(1, 4)
    const leader = admit(sequenceOf(range(0, 300)), table)
    const second = admit(sequenceOf([...range(0, 200), ...range(1000, 200)]), table)
    expect(second.awaits).toMatchObject({ leader, length: 200 })
    const look = (prompt: Token[]) => findPrefix(sequenceOf(prompt), table.ofLane(asLaneId(0))).awaits
    expect(look([...range(0, 200), ...range(1000, 50), asToken(5)])).toMatchObject({ leader, length: 200 })
    expect(look([...range(0, 200), ...range(1000, 150), asToken(5)])).toMatchObject({ leader: second, length: 350 })
  })

  it('waits for nobody who came later', () => {
    const table = new SlotTable(1, 4)
    const [first, second] = [range(0, 300), range(0, 301)].map((prompt) => admit(sequenceOf(prompt), table))
    expect(findPrefix(first!, table.ofLane(asLaneId(0)), first!.admission).awaits).toBeNull()
    expect(findPrefix(second!, table.ofLane(asLaneId(0)), second!.admission).awaits).toMatchObject({ leader: first })
  })

  it('compares a crowd of long prompts that begin alike about once each, not each with each', () => {
    const slots = 256
    const length = 8000
    const table = new SlotTable(1, slots)
    let reads = 0
    for (let number = 0; number < slots; number++) {
      const sequence = sequenceOf([...range(0, length), asToken(20_000 + number), ...range(0, 10)])
      Object.defineProperty(sequence, 'tokens', {
        value: new Proxy(sequence.tokens, {
          get: (target, property, receiver) => {
            if (typeof property === 'string' && /^\d/.test(property)) reads++
            return Reflect.get(target, property, receiver)
          }
        })
      })
      admit(sequence, table)
    }
    // Two reads for each comparison, and once more to see what the slot's own cache is good for.
    expect(reads).toBeLessThan(slots * (2 * length + 3 * slots))
    expect(table.slots.filter(({ holder }) => holder?.awaits?.leader === table.slots[0]!.holder)).toHaveLength(slots - 1)
  })
})

describe('readerFor', () => {
  it('is whom all of a chain wait for', () => {
    const table = new SlotTable(1, 4)
    const first = admit(sequenceOf(range(0, 300)), table)
    const second = admit(sequenceOf([...range(0, 200), ...range(1000, 200)]), table)
    const third = admit(sequenceOf([...range(0, 200), ...range(1000, 150), asToken(5)]), table)
    expect(third.awaits?.leader).toBe(second)
    expect([first, second, third].map(readerFor)).toEqual([first, first, first])
    // When the first is done, the chain goes on behind it.
    second.awaits = null
    expect(readerFor(third)).toBe(second)
  })
})
