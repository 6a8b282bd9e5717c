import { ChatAnswer } from '../chat-answer.ts'
import { ChatChunks } from '../chat-chunks.ts'
import { readChatBody } from '../chat-request.ts'
import { createChatStreamSink } from '../chat-stream.ts'
import { UsageSum, runGeneration, streamGeneration } from '../generation.ts'
import { runsModels } from '../needs.ts'
import { openChat } from '../open-chat.ts'
import type { Route } from '../services.ts'
import { openAiStream } from '../sse.ts'
import { streamUsageOf } from '../usage.ts'

/** `POST /v1/chat/completions` */
export const chatCompletionsRoute: Route = (app, services) => {
  app.post('/v1/chat/completions', runsModels, async (request, reply) => {
    const body = readChatBody(request.body)
    const { identity, format, generation, release } = await openChat(body, 'chatcmpl', request.requestContext, services)
    try {
      if (!body.stream) {
        const answer = new ChatAnswer(identity, body.n, format)
        await runGeneration(generation, answer)
        return answer.toJson()
      }
      const usage = new UsageSum()
      const chunks = new ChatChunks(identity, streamUsageOf(body.stream_options))
      return await streamGeneration(request, reply, services, generation, {
        ...openAiStream,
        createSink: (send) => createChatStreamSink(chunks, usage, format, send),
        end: () => chunks.usage(usage) + openAiStream.end()
      })
    } finally {
      release()
    }
  })
}
