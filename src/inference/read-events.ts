import { ServerError } from '../domain/errors.ts'
import { EventQueue } from './event-queue.ts'

/**
 * The events of a request, which is given up when the reader goes or the signal fires.
 * @throws ServerError `request_aborted` when the signal fired; what `submit` throws; what the queue is failed with
 */
export async function * readEvents<Event> (submit: (queue: EventQueue<Event>) => void, giveUp: () => void, signal: AbortSignal): AsyncIterable<Event> {
  if (signal.aborted) throw abortedError()
  const queue = new EventQueue<Event>(() => {})
  const abort = (): void => {
    giveUp()
    queue.fail(abortedError())
  }
  submit(queue)
  signal.addEventListener('abort', abort, { once: true })
  try {
    yield * queue
  } finally {
    signal.removeEventListener('abort', abort)
    giveUp()
  }
}

const abortedError = (): ServerError => new ServerError('request_aborted', 'The client has gone')
