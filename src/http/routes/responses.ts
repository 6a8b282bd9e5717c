import { runGeneration, streamGeneration } from '../generation.ts'
import { runsModels } from '../needs.ts'
import { inResponsesTerms, keepResponse, openResponse } from '../responses/open-response.ts'
import { readResponseRequest } from '../responses/read-response-request.ts'
import { createResponseStream } from '../responses/response-stream.ts'
import { runInBackground } from '../responses/run-in-background.ts'
import { streamLog } from '../responses/stream-log.ts'
import type { Route } from '../services.ts'

/** `POST /v1/responses` */
export const responsesRoute: Route = (app, services) => {
  app.post('/v1/responses', runsModels, async (request, reply) => {
    const body = readResponseRequest(request.body)
    if (body.background) {
      const { log, response } = await runInBackground(request, body, services)
      return log === null ? response.body : await streamLog(reply, services, log, -1)
    }
    const { caller } = request.requestContext
    const open = await openResponse(body, request.requestContext, services)
    const onEnd = (): void => keepResponse(open, null, caller.tenant, services.responseStore)
    try {
      if (body.stream) return await inResponsesTerms(streamGeneration(request, reply, services, open.generation, createResponseStream(open, onEnd)))
      await inResponsesTerms(runGeneration(open.generation, open.createWriter({ emit: () => {}, onEnd })))
      return open.body
    } finally {
      open.release()
    }
  })
}
