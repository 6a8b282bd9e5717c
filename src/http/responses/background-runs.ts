import type { TenantId } from '../../domain/ids.ts'
import type { EventLog } from './event-log.ts'
import type { StoredResponse } from './response-store.ts'

/** A response that is being made without its client. */
export interface BackgroundRun {
  readonly tenant: TenantId
  /** As it is now; its events are in the log. */
  readonly response: Omit<StoredResponse, 'events'>
  /** Null where the request did not ask for a stream. */
  readonly log: EventLog | null
  readonly cancel: () => void
  /** Settles when the response has its last status and is stored; never rejects. */
  readonly ended: Promise<void>
}

/** The background responses that have not ended. There are no more of them than the models' queues let in. */
export class BackgroundRuns {
  readonly #runs = new Map<string, BackgroundRun>()

  add (run: BackgroundRun): void {
    const { id } = run.response.body
    this.#runs.set(id, run)
    const forget = (): void => { this.#runs.delete(id) }
    run.ended.then(forget, forget)
  }

  find (tenant: TenantId, id: string): BackgroundRun | null {
    const run = this.#runs.get(id)
    return run?.tenant === tenant ? run : null
  }
}
