import { ServerError } from '../domain/errors.ts'

/** What whoever was given up is told. */
export function abortError (signal: AbortSignal): ServerError {
  return signal.reason instanceof ServerError ? signal.reason : new ServerError('request_aborted', 'The client has gone')
}

export function throwIfAborted (signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal)
}
