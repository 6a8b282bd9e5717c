import { asLaneId, type Millis } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import type { SlotTable } from '../slot-table.ts'
import type { AdmissionPolicy } from './admission.ts'

/** So many may go before one whose adapters fit worse, */
const mostOvertaken = 8
/** if they are among so many that are next. */
const lookedThrough = 16

/**
 * Who gets the next free slot: who is next by admission; but one whose adapters run in a lane with a free slot may go before one whose
 * adapters would have to take turns with others there, now and then: a step for one sequence more of a set takes hardly longer, one
 * more set costs all of them their time.
 */
export function nextFitting (admission: Pick<AdmissionPolicy, 'next' | 'mayOvertake'>, table: SlotTable, passed: ReadonlySet<Sequence>, now: Millis, isCrowded = false): Sequence | null {
  const first = admission.next(passed, now, isCrowded)
  if (first === null || first.wasAdmitted || first.overtaken >= mostOvertaken || fits(first, table)) return first
  const aside = new Set(passed).add(first)
  for (let looked = 0; looked < lookedThrough; looked++) {
    const other = admission.next(aside, now, isCrowded)
    if (other === null || !admission.mayOvertake(other, first)) return first
    if (fits(other, table)) {
      first.overtaken++
      return other
    }
    aside.add(other)
  }
  return first
}

/** Whether a lane with a free slot runs its adapters already, or nothing. */
function fits ({ request: { adapters: { key } } }: Sequence, table: SlotTable): boolean {
  for (let lane = 0; lane < table.laneCount; lane++) {
    const holders = table.ofLane(asLaneId(lane)).map(({ holder }) => holder)
    if (!holders.includes(null)) continue
    if (holders.some((holder) => holder?.request.adapters.key === key) || holders.every((holder) => holder === null)) return true
  }
  return false
}
