import type { Millis } from '../../domain/ids.ts'
import { runsOf, type SlotRun } from '../../domain/runs-of.ts'

/**
 * Whether a step takes idle slots between busy ones along: `never`, `always` when that spares a pass, as on a GPU, where a pass of a few
 * slots takes hardly less than one of all, or as far as passes were `measured` to take less time that way.
 */
export type Bridging = 'never' | 'always' | 'measured'

export interface BridgeCosts {
  /** Whether an idle slot can hold one token more, and reads no more than busy ones do. */
  readonly mayGoAlong: (slot: number) => boolean
  /** What a pass over so many neighbouring slots takes, in any unit; null where that is not known. */
  readonly passMs: (slots: number) => Millis | null
}

/**
 * Idle slots between busy ones that a step takes along, each with a token that is removed again: llama.cpp decodes neighbouring slots in
 * one pass and starts another at every gap. Which gaps are worth closing is what makes all passes together the shortest.
 *
 * @param busy in ascending order
 * @param room tokens that the step may have more
 * @returns in ascending order; none where more slots would idle than work
 */
export function bridgesOf (busy: readonly number[], room: number, { mayGoAlong, passMs }: BridgeCosts): readonly number[] {
  const runs = runsOf(busy)
  if (runs.length < 2) return []
  /** For the first runs, none to all: what their passes take at least, and with which run the last pass begins. */
  const best: { readonly ms: Millis, readonly from: number }[] = [{ ms: 0, from: 0 }]
  for (let count = 1; count <= runs.length; count++) {
    let least = { ms: Infinity, from: count - 1 }
    for (let from = count - 1; from >= 0; from--) {
      if (from < count - 1 && !gapAfter(runs, from).every(mayGoAlong)) break
      const own = passMs(runs[count - 1]!.last - runs[from]!.first + 1)
      if (own === null) break
      const ms = best[from]!.ms + own
      if (ms < least.ms) least = { ms, from }
    }
    // Nothing is known of what is longer than all that was measured.
    if (least.ms === Infinity) return []
    best.push(least)
  }
  const bridges: number[] = []
  for (let count = runs.length; count > 0; count = best[count]!.from) {
    for (let run = best[count]!.from; run < count - 1; run++) bridges.push(...gapAfter(runs, run))
  }
  return bridges.length > busy.length || bridges.length > room ? [] : bridges.sort((a, b) => a - b)
}

const gapAfter = (runs: readonly SlotRun[], index: number): number[] => {
  const [{ last }, { first }] = [runs[index]!, runs[index + 1]!]
  return Array.from({ length: first - last - 1 }, (_, at) => last + 1 + at)
}
