import type { ModelHost, ModelState } from '../../models/model-host.ts'
import type { Route } from '../services.ts'

/** Worst first: what the whole server is when one of its models is. */
const notReadyStates: readonly ModelState[] = ['draining', 'closed', 'restarting', 'loading', 'failed']

/**
 * Ready is a server whose models all decode; one that could not be loaded does not count as long as another one works,
 * since waiting will not bring it back.
 */
function stateOf (hosts: readonly ModelHost[]): ModelState {
  const states = new Set(hosts.map(({ state }) => state))
  const worst = notReadyStates.find((state) => states.has(state))
  return worst === undefined || (worst === 'failed' && states.has('ready')) ? 'ready' : worst
}

/** `GET /ready`: 200 when requests can be answered, otherwise 503 and the reason. */
export const readyRoute: Route = (app, { catalogue, lifecycle }) => {
  app.get('/ready', { config: { answersWhileDraining: true } }, async (_request, reply) => {
    const status = lifecycle.isDraining ? 'draining' : stateOf(catalogue.hosts)
    if (status !== 'ready') reply.code(503).header('retry-after', '1')
    return {
      status,
      models: catalogue.hosts.map(({ id, state, failure, restarts }) => ({
        id, state, reason: failure?.message ?? null, restarts
      }))
    }
  })
}
