import type { Anthropic } from '@anthropic-ai/sdk'
import { chatModelOf } from '../chat-model.ts'
import { toChatRequest } from '../chat-request.ts'
import { nameAsMessages } from '../messages/name-as-messages.ts'
import { readCountMessageTokensRequest } from '../messages/read-message-request.ts'
import { toChatPrompt } from '../messages/to-chat-completion.ts'
import { needs } from '../needs.ts'
import { openModel } from '../open-model.ts'
import type { Route } from '../services.ts'
import { withSystemPrompt } from '../with-system-prompt.ts'

/** `POST /v1/messages/count_tokens`: the tokens that `/v1/messages` would read. */
export const countMessageTokensRoute: Route = (app, services) => {
  app.post('/v1/messages/count_tokens', needs('inference'), async (request) => {
    const body = readCountMessageTokensRequest(request.body)
    const { caller, cancellation: { signal } } = request.requestContext
    const model = openModel(services, caller, body.model)
    const chatModel = chatModelOf(model, services)
    try {
      const chat = toChatPrompt(body, chatModel)
      const { segments } = await services.preparation.prepareChat(
        toChatRequest(chat, withSystemPrompt(chat.messages, model.systemPrompt)), { kind: 'text' }, chatModel, { tenant: caller.tenant, signal })
      const tokens = await model.host.inference.tokenize({ segments }, { addBos: true })
      return { input_tokens: tokens.length } satisfies Anthropic.MessageTokensCount
    } catch (thrown) {
      throw nameAsMessages(thrown, body)
    }
  })
}
