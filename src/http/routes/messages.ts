import { chatModelOf } from '../chat-model.ts'
import { runGeneration, streamGeneration } from '../generation.ts'
import { toAnthropicError } from '../messages/anthropic-error.ts'
import { MessageAnswer } from '../messages/message-answer.ts'
import type { MessageOptions } from '../messages/message-options.ts'
import { MessageStream, pingEvent, toNamedEvent } from '../messages/message-stream.ts'
import { nameAsMessages } from '../messages/name-as-messages.ts'
import { readMessageRequest } from '../messages/read-message-request.ts'
import { toChatCompletion } from '../messages/to-chat-completion.ts'
import { runsModels } from '../needs.ts'
import { type OpenChat, openChat } from '../open-chat.ts'
import { openModel } from '../open-model.ts'
import type { RequestContext } from '../request-context.ts'
import type { MessageRequest } from '../schemas/message-request.ts'
import type { HttpServices, Route } from '../services.ts'

/** `POST /v1/messages`: Anthropic's Messages API. */
export const messagesRoute: Route = (app, services) => {
  app.post('/v1/messages', runsModels, async (request, reply) => {
    const body = readMessageRequest(request.body)
    const { identity, format, generation, release } = await openMessage(body, request.requestContext, services)
    try {
      const thinking = body.thinking !== undefined && 'display' in body.thinking ? body.thinking.display : null
      const maxTokens = generation.requests[0]?.maxTokens ?? body.max_tokens
      const options: MessageOptions = { identity, format, maxTokens, showsThinking: thinking !== 'omitted' }
      if (!body.stream) {
        const answer = new MessageAnswer(options)
        await runGeneration(generation, answer)
        return answer.toJson()
      }
      return await streamGeneration(request, reply, services, generation, {
        createSink: (send) => new MessageStream(options, send),
        end: () => '',
        fail: (error) => toNamedEvent(toAnthropicError(error, request.id).body),
        keepAlive: pingEvent
      })
    } finally {
      release()
    }
  })
}

async function openMessage (body: MessageRequest, context: RequestContext, services: HttpServices): Promise<OpenChat> {
  const model = chatModelOf(openModel(services, context.caller, body.model), services)
  try {
    return await openChat(toChatCompletion(body, model), 'msg', context, services)
  } catch (thrown) {
    throw nameAsMessages(thrown, body)
  }
}
