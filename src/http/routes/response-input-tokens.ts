import { chatModelOf } from '../chat-model.ts'
import { toChatRequest } from '../chat-request.ts'
import { needs } from '../needs.ts'
import { readTurn } from '../responses/open-response.ts'
import { readResponseRequest } from '../responses/read-response-request.ts'
import { toResponsesError } from '../responses/to-responses-error.ts'
import type { Route } from '../services.ts'
import { withSystemPrompt } from '../with-system-prompt.ts'
import { openNamedOrOnlyModel } from './tokenize.ts'

/** `POST /v1/responses/input_tokens`: how long the prompt of a response would be. It takes all that a response takes. */
export const responseInputTokensRoute: Route = (app, services) => {
  app.post('/v1/responses/input_tokens', needs('inference'), async (request) => {
    const { body: raw, requestContext: { caller, cancellation: { signal } } } = request
    const isObject = typeof raw === 'object' && raw !== null
    const name = isObject && 'model' in raw && typeof raw.model === 'string' && raw.model !== '' ? raw.model : undefined
    const model = openNamedOrOnlyModel(services, caller, name)
    const body = readResponseRequest(isObject ? { ...raw, model: name ?? model.host.id } : raw)
    const { chat } = readTurn(body, caller.tenant, services)
    try {
      const { segments } = await services.preparation.prepareChat(
        toChatRequest(chat, withSystemPrompt(chat.messages, model.systemPrompt)), { kind: 'text' }, chatModelOf(model, services), { tenant: caller.tenant, signal })
      // As the model would read it: with BOS, unless the template wrote it.
      const tokens = await model.host.inference.tokenize({ segments }, { addBos: true })
      return { object: 'response.input_tokens', input_tokens: tokens.length }
    } catch (error) {
      throw toResponsesError(error)
    }
  })
}
