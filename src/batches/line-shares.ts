/** A batch whose lines may run. */
export interface ShareWish {
  readonly id: string
  readonly tenant: string
  /** What its lines run on. */
  readonly group: string
  /** Lines that run already. */
  readonly underWay: number
}

/**
 * Divides free places among batches: each goes to the tenant that has the fewest, and there to the batch that has the fewest; the first in the
 * list where they are equal.
 *
 * @param freeOf places of a group
 * @returns how many lines to begin, by batch
 */
export function shareLines (wishes: readonly ShareWish[], freeOf: (group: string) => number): ReadonlyMap<string, number> {
  const shares = new Map<string, number>()
  for (const group of new Set(wishes.map((wish) => wish.group))) {
    const ofGroup = wishes.filter((wish) => wish.group === group)
    const counts = new Map(ofGroup.map(({ id, underWay }) => [id, underWay]))
    const countOf = ({ id }: ShareWish): number => counts.get(id) ?? 0
    const ofTenant = ({ tenant }: ShareWish): number => ofGroup.filter((wish) => wish.tenant === tenant).reduce((sum, wish) => sum + countOf(wish), 0)
    for (let free = freeOf(group); free > 0; free--) {
      const next = ofGroup.reduce((best, wish) => ofTenant(wish) < ofTenant(best) || (ofTenant(wish) === ofTenant(best) && countOf(wish) < countOf(best)) ? wish : best)
      counts.set(next.id, countOf(next) + 1)
      shares.set(next.id, (shares.get(next.id) ?? 0) + 1)
    }
  }
  return shares
}
