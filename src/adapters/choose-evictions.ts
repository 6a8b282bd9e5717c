/** One version of an adapter that takes memory. */
export interface Resident {
  readonly sizeBytes: number
  readonly leases: number
  readonly isPinned: boolean
  /** Whether it can be let go: it is wholly loaded, and not already going. */
  readonly isSettled: boolean
  readonly lastUsedAt: number
}

export interface RoomLimits {
  /** Most adapters in memory. */
  readonly maxAdapters: number
  readonly maxBytes: number
}

export type RoomDecision<Item> =
  /** There is room once these are gone; they are the least recently used ones that do. */
  | { readonly type: 'evict', readonly items: readonly Item[] }
  /** There will be room when requests have ended. */
  | { readonly type: 'wait' }
  /** What is pinned, or it alone, takes all there is. */
  | { readonly type: 'never' }

/** Who has to go so that another adapter fits. Neither those that requests hold nor pinned ones ever do. */
export function chooseEvictions<Item extends Resident> (
  residents: readonly Item[], sizeBytes: number, { maxAdapters, maxBytes }: RoomLimits
): RoomDecision<Item> {
  let count = residents.length + 1
  let bytes = residents.reduce((sum, resident) => sum + resident.sizeBytes, sizeBytes)
  const isEnough = (): boolean => count <= maxAdapters && bytes <= maxBytes

  const items: Item[] = []
  const idle = residents.filter(({ leases, isPinned, isSettled }) => leases === 0 && !isPinned && isSettled)
  for (const resident of idle.sort((a, b) => a.lastUsedAt - b.lastUsedAt)) {
    if (isEnough()) break
    items.push(resident)
    count--
    bytes -= resident.sizeBytes
  }
  if (isEnough()) return { type: 'evict', items }
  const pinned = residents.filter(({ isPinned }) => isPinned)
  const leastBytes = pinned.reduce((sum, resident) => sum + resident.sizeBytes, sizeBytes)
  return pinned.length + 1 <= maxAdapters && leastBytes <= maxBytes ? { type: 'wait' } : { type: 'never' }
}
