import type { ChatMessage } from '../chat/chat-message.ts'
import type { AnswerFormat } from '../chat/dialects/answer-parser.ts'
import { asRequestId } from '../domain/ids.ts'
import type { EngineInfo } from '../engine/engine.ts'
import { promptRefusal } from '../inference/call-limits.ts'
import { answerBounds } from './answer-bounds.ts'
import { type AnswerIdentity, type AnswerPrefix, createAnswerIdentity } from './answer-identity.ts'
import { createBooking } from './book-usage.ts'
import { chatModelOf } from './chat-model.ts'
import { toChatRequest } from './chat-request.ts'
import type { Generation } from './generation.ts'
import { holdAdapters } from './hold-adapters.ts'
import { checkLogitBias, openGenerativeModel } from './open-model.ts'
import type { RequestContext } from './request-context.ts'
import type { ChatCompletionRequest } from './schemas/chat-completion-request.ts'
import { reserveRun } from './reserve-run.ts'
import { estimateRun } from './run-estimate.ts'
import { outputFormatOf } from './schemas/output-format.ts'
import { toSampling } from './schemas/sampling-options.ts'
import { queueTimeoutOf, serviceClassOf } from './schemas/service-class.ts'
import type { HttpServices } from './services.ts'
import { startTrace } from './start-trace.ts'
import { withSystemPrompt } from './with-system-prompt.ts'

/** A chat request that is ready to run. */
export interface OpenChat {
  readonly identity: AnswerIdentity
  readonly generation: Generation
  /** How its answers are read. */
  readonly format: AnswerFormat
  /** Gives back what it holds; to be called when it has run, however that ended. */
  readonly release: () => void
}

/**
 * The one way from a chat request to the models, whichever API it came through: finds model and adapters, renders the
 * prompt, and holds the adapters. The context hears of the run.
 *
 * @param prefix of the answer's id
 * @throws ServerError for whatever of the request cannot be done
 */
export async function openChat (body: ChatCompletionRequest, prefix: AnswerPrefix, context: RequestContext, services: HttpServices): Promise<OpenChat> {
  const { config, now, preparation, randomSeed } = services
  const { caller } = context
  const answerFormat = outputFormatOf(body)
  const model = openGenerativeModel(services, caller, body.model, body.lora)
  const { host, info } = model
  checkLogitBias(body.logit_bias, info)
  checkLength(body.messages, info)
  const order = { tenant: caller.tenant, signal: context.cancellation.signal }
  const chat = await preparation.prepareChat(toChatRequest(body, withSystemPrompt(body.messages, model.systemPrompt)), answerFormat, chatModelOf(model, services), order)

  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? null
  const serviceClass = serviceClassOf(body, caller)
  const identity = createAnswerIdentity(prefix, body.model, info, serviceClass.tier)
  const trace = startTrace({ id: identity.id, operation: 'chat', maxTokens }, model, body, context, services)
  const prompt = { segments: chat.segments }
  const bounds = answerBounds(caller, maxTokens, host.answerLength)
  await reserveRun(identity.id, host.id, estimateRun({ prompts: [prompt], choices: body.n, ...bounds }, info), context, services)
  const held = await holdAdapters(model, queueTimeoutOf(serviceClass, config), now, context.cancellation.signal)
  return {
    identity,
    format: chat.format,
    release: held.release,
    generation: {
      inference: host.inference,
      trace,
      book: createBooking(trace, context, services),
      cancellation: context.cancellation,
      requests: [{
        id: asRequestId(identity.id),
        tenant: caller.tenant,
        weight: caller.weight,
        priority: serviceClass.priority,
        prompt,
        adapters: held.adapters,
        choices: body.n,
        ...bounds,
        stop: body.stop,
        ...(body.prediction === undefined ? {} : { prediction: body.prediction.content }),
        shownControlTexts: chat.shownControlTexts,
        sampling: { ...toSampling(body, null, body.logprobs ? body.top_logprobs ?? 0 : null, randomSeed), ...chat.answerGrammar, reasoningLimit: chat.reasoningLimit },
        queueTimeoutMs: held.queueTimeoutMs,
        timeoutMs: config.requestTimeoutMs
      }]
    }
  }
}

/**
 * Rendering takes long for what is far too long: that is refused before. What the assistant said is not counted, because templates
 * leave some of it out.
 */
function checkLength (messages: readonly ChatMessage[], info: EngineInfo): void {
  const segments = messages.filter(({ role }) => role !== 'assistant').map(({ content }) => ({ text: content, origin: 'user' }) as const)
  const refusal = promptRefusal({ segments }, info)
  if (refusal !== null) throw refusal
}
