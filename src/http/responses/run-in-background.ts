import type { FastifyRequest } from 'fastify'
import { ServerError } from '../../domain/errors.ts'
import { runGeneration } from '../generation.ts'
import { noteError, toClientError } from '../plugins/errors.ts'
import type { ResponseRequest } from '../schemas/response-request.ts'
import type { HttpServices } from '../services.ts'
import type { BackgroundRun } from './background-runs.ts'
import { EventLog } from './event-log.ts'
import { inResponsesTerms, keepResponse, openResponse } from './open-response.ts'
import { writeResponseEvent } from './response-events.ts'

/**
 * Starts a response that is made without its client, and gives it back once it is queued. Until then the client's leaving
 * ends it as any other request, since nobody would know its id.
 * @throws what happens before that, so that it can have its true status
 */
export async function runInBackground (request: FastifyRequest, body: ResponseRequest, services: HttpServices): Promise<BackgroundRun> {
  const { backgroundRuns, config, responseStore } = services
  const { requestContext: context } = request
  const { caller: { tenant }, cancellation } = context
  const open = await openResponse(body, context, services)
  const log = body.stream ? new EventLog() : null
  let isCancelled = false

  return await new Promise<BackgroundRun>((resolve, reject) => {
    let sequenceNumber = 0
    const writer = open.createWriter({
      emit: (event) => log?.append(writeResponseEvent(event, sequenceNumber++)),
      onAccepted: () => {
        context.background = run.ended
        backgroundRuns.add(run)
        resolve(run)
      },
      // Its last event comes after this, into the same list.
      onEnd: () => keepResponse(open, log?.events ?? null, tenant, responseStore)
    })
    const fail = (thrown: unknown): void => {
      if (context.background === null) {
        reject(thrown)
        return
      }
      const error = isCancelled ? new ServerError('request_aborted', 'The response was cancelled') : toClientError(thrown, config.bodyLimit)
      noteError(request, error)
      if (isCancelled) writer.cancel(error)
      else writer.fail(error)
    }
    const run: BackgroundRun = {
      tenant,
      response: open,
      log,
      cancel: () => {
        isCancelled = true
        cancellation.abort()
      },
      ended: inResponsesTerms(runGeneration(open.generation, writer)).catch(fail).finally(() => {
        open.release()
        log?.end()
      })
    }
  })
}
