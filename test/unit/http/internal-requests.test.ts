import { describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/access/caller.ts'
import { asTenantId } from '../../../src/domain/ids.ts'
import { InternalRequests } from '../../../src/http/internal-requests.ts'
import { Lifecycle } from '../../../src/http/lifecycle.ts'

const caller: Caller = {
  owner: 'a', tenant: asTenantId('a'), keyId: null, isAnonymous: false, scopes: [], models: null, adapters: null, weight: 1, priority: 'batch', highestPriority: 'batch', limits: []
}

describe('credentials of requests of the server to itself', () => {
  it('are good once, each for its own', () => {
    const requests = new InternalRequests()
    const [first, second] = [{ caller, signal: AbortSignal.abort() }, { caller, signal: AbortSignal.abort() }]
    const credentials = [requests.expect(first), requests.expect(second)]
    expect(credentials[0]).not.toBe(credentials[1])
    expect(requests.take(credentials[1])).toBe(second)
    expect(requests.take(credentials[1])).toBeNull()
    requests.withdraw(credentials[0]!)
    for (const wrong of [credentials[0], undefined, '', 'guess']) expect(requests.take(wrong)).toBeNull()
  })
})

describe('whoever leaves', () => {
  it.each<[string, (lifecycle: Lifecycle) => unknown]>([
    ['draining', (lifecycle) => lifecycle.startDraining()], ['handing over', async (lifecycle) => await lifecycle.handOver()]
  ])('by %s tells those who listen, once, and those at once who come too late', async (_name, leave) => {
    const lifecycle = new Lifecycle()
    let [early, late] = [0, 0]
    lifecycle.onLeaving(() => early++)
    await leave(lifecycle)
    lifecycle.startDraining()
    lifecycle.onLeaving(() => late++)
    expect([early, late]).toEqual([1, 1])
  })
})
