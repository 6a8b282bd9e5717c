import { snakeName } from '../domain/limits.ts'
import type { LineSink } from './line-file.ts'
import type { Observer, RequestRecord } from './observer.ts'

/**
 * Tells who changed what the server serves, or wanted to, and who was turned away: a line for each request that was to do so or was answered with
 * 401 or 403, or by a limit, once it is over.
 */
export const createAuditLog = (sink: LineSink): Observer => ({
  requestFinished (record) {
    const { refusedBy = null } = record
    const isRefused = record.status === 401 || record.status === 403 || refusedBy !== null
    if (record.action === null && !isRefused) return
    const { action, status } = record
    sink.append({
      time: new Date().toISOString(),
      event: action?.name ?? 'request.refused',
      outcome: isRefused ? 'refused' : outcomeOf(record),
      ...(action === null ? {} : action.subject),
      ...(refusedBy === null ? {} : { limit: snakeName(refusedBy) }),
      tenant: record.tenant,
      address: record.address,
      method: record.method,
      route: record.route,
      status,
      errorCode: record.errorCode,
      requestId: record.requestId,
      ...(record.traceId === null ? {} : { traceId: record.traceId })
    })
  }
})

/** Of what was let in. One whose client went meanwhile may be done all the same. */
function outcomeOf ({ outcome }: RequestRecord): 'done' | 'failed' | 'aborted' {
  if (outcome === 'aborted') return 'aborted'
  return outcome === 'ok' ? 'done' : 'failed'
}
