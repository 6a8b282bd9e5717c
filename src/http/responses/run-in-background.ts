import type { FastifyRequest } from 'fastify'
import { ServerError } from '../../domain/errors.ts'
import { runGeneration } from '../generation.ts'
import { noteError, toClientError } from '../plugins/errors.ts'
import { RequestContext } from '../request-context.ts'
import type { ResponseRequest } from '../schemas/response-request.ts'
import type { HttpServices } from '../services.ts'
import type { BackgroundRun } from './background-runs.ts'
import { EventLog } from './event-log.ts'
import { inResponsesTerms, keepResponse, openResponse } from './open-response.ts'
import { writeResponseEvent } from './response-events.ts'

/**
 * Starts a response that is made without its client, and gives it back once it is queued.
 * @throws what happens before that, so that it can have its true status
 */
export async function runInBackground (request: FastifyRequest, body: ResponseRequest, services: HttpServices): Promise<BackgroundRun> {
  const { backgroundRuns, config, now, responseStore } = services
  const { caller } = request.requestContext
  const context = new RequestContext(now())
  context.caller = caller
  const open = await openResponse(body, context, services)
  const log = body.stream ? new EventLog() : null
  let isAccepted = false
  let isCancelled = false

  const run = await new Promise<BackgroundRun>((resolve, reject) => {
    let sequenceNumber = 0
    const writer = open.createWriter({
      emit: (event) => log?.append(writeResponseEvent(event, sequenceNumber++)),
      onAccepted: () => {
        isAccepted = true
        resolve(started)
      },
      // Its last event comes after this, into the same list.
      onEnd: () => keepResponse(open, log?.events ?? null, caller.tenant, responseStore)
    })
    const started: BackgroundRun = {
      tenant: caller.tenant,
      response: open,
      log,
      cancel: () => {
        isCancelled = true
        context.cancellation.abort()
      },
      ended: inResponsesTerms(runGeneration(open.generation, writer)).catch((thrown: unknown) => {
        if (!isAccepted) {
          reject(thrown)
          return
        }
        const error = isCancelled ? new ServerError('request_aborted', 'The response was cancelled') : toClientError(thrown, config.bodyLimit)
        noteError({ requestContext: context, log: request.log, id: request.id }, error)
        if (isCancelled) writer.cancel(error)
        else writer.fail(error)
      }).finally(() => {
        open.release()
        log?.end()
      })
    }
  })
  request.requestContext.background = { context, ended: run.ended }
  backgroundRuns.add(run)
  return run
}
