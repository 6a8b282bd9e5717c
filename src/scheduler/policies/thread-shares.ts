import type { LaneId } from '../../domain/ids.ts'

/**
 * How many threads a lane's next step may have, at most: all of them while no other lane has work, else its equal share. A step
 * keeps its threads to its end, so there may be fewer at first, or none yet.
 *
 * @param threads of all lanes; at least one for each
 * @param busyThreads of steps that other lanes carry out
 * @param lanes those with work, in the order of their numbers, this one among them
 */
export function threadShare (threads: number, busyThreads: number, lanes: readonly LaneId[], lane: LaneId): number {
  const share = Math.floor(threads / lanes.length) + (lanes.indexOf(lane) < threads % lanes.length ? 1 : 0)
  return Math.max(0, Math.min(share, threads - busyThreads))
}
