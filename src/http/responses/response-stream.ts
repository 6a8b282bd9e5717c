import type { GenerationStream } from '../generation.ts'
import type { OpenResponse } from './open-response.ts'
import { writeResponseEvent } from './response-events.ts'
import type { ResponseWriter } from './response-writer.ts'
import { toResponsesError } from './to-responses-error.ts'

/** A response as a stream of its events. It ends with the event that says how; there is no `[DONE]`. */
export function createResponseStream (open: OpenResponse, onEnd: () => void): GenerationStream {
  let sequenceNumber = 0
  let writer: ResponseWriter | null = null
  let lastEvents: string[] | null = null
  return {
    createSink: (send) => {
      writer = open.createWriter({
        emit: (event) => {
          const text = writeResponseEvent(event, sequenceNumber++)
          if (lastEvents === null) send(text)
          else lastEvents.push(text)
        },
        onEnd
      })
      return writer
    },
    end: () => '',
    fail: (error) => {
      lastEvents = []
      // Nobody reads it, nor could ask for it.
      if (error.code !== 'request_aborted') writer?.fail(toResponsesError(error))
      return lastEvents.join('')
    }
  }
}
