import type { OpenAI } from 'openai'
import type { ResponseBody } from './response-body.ts'

type Known = OpenAI.Responses.ResponseStreamEvent

type WithoutNumber<Event> = Event extends { type: string } ? Omit<Event, 'sequence_number'> : never

type Lifecycle = 'response.created' | 'response.queued' | 'response.in_progress' | 'response.completed' | 'response.incomplete' | 'response.failed'

/** An event of a response's stream before it has its number. */
export type ResponseEvent =
  | { readonly type: Lifecycle, readonly response: ResponseBody }
  | WithoutNumber<Exclude<Known, { type: Lifecycle | 'error' }>>
  | (WithoutNumber<Extract<Known, { type: 'error' }>> & {
    /** As other endpoints tell errors: the client throws at it, rather than take half an answer for the whole. */
    readonly error: { readonly type: string, readonly code: string, readonly message: string, readonly param: string | null }
  })

/** One server-sent event of the Responses API, which names its type twice. */
export const writeResponseEvent = ({ type, ...members }: ResponseEvent, sequenceNumber: number): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequenceNumber, ...members })}\n\n`
