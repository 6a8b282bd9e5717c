import { prepareChat } from '../../chat/prepare-chat.ts'
import { asRequestId } from '../../domain/ids.ts'
import { createAnswerIdentity } from '../answer-identity.ts'
import { ChatAnswer } from '../chat-answer.ts'
import { ChatChunks } from '../chat-chunks.ts'
import { chatModelOf } from '../chat-model.ts'
import { readChatBody, toChatRequest } from '../chat-request.ts'
import { createChatStreamSink } from '../chat-stream.ts'
import { type Generation, UsageSum, runGeneration, streamGeneration } from '../generation.ts'
import { GenerationTrace } from '../generation-trace.ts'
import { holdAdapters } from '../hold-adapters.ts'
import { checkLogitBias, openModel } from '../open-model.ts'
import { outputFormatOf } from '../schemas/output-format.ts'
import { toSampling } from '../schemas/sampling-options.ts'
import { queueTimeoutOf, serviceClassOf } from '../schemas/service-class.ts'
import type { Route } from '../services.ts'
import { streamUsageOf } from '../usage.ts'
import { withSystemPrompt } from '../with-system-prompt.ts'

/** `POST /v1/chat/completions` */
export const chatCompletionsRoute: Route = (app, services) => {
  const { config, now, outputGrammars, randomSeed } = services

  app.post('/v1/chat/completions', async (request, reply) => {
    const body = readChatBody(request.body)
    const grammar = outputGrammars.of(outputFormatOf(body))
    const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? null
    const model = openModel(services.adapters, body.model, body.lora)
    const { host, info, picks } = model
    checkLogitBias(body.logit_bias, info)
    const chat = prepareChat(toChatRequest(body, withSystemPrompt(body.messages, model.systemPrompt)), chatModelOf(model, services))

    const context = request.requestContext
    const { caller } = context
    const serviceClass = serviceClassOf(body, caller)
    const identity = createAnswerIdentity('chatcmpl', body.model, info, serviceClass.tier)
    context.generation = new GenerationTrace({
      id: identity.id,
      model: host.id,
      adapters: picks.map(({ name }) => name),
      isStream: body.stream,
      arrivedAt: context.arrivedAt,
      choicesPerPrompt: body.n,
      now
    })
    const held = await holdAdapters(model, queueTimeoutOf(serviceClass, config), now, context.cancellation.signal)
    try {
      const generation: Generation = {
        inference: host.inference,
        trace: context.generation,
        cancellation: context.cancellation,
        requests: [{
          id: asRequestId(identity.id),
          tenant: caller.tenant,
          weight: caller.weight,
          priority: serviceClass.priority,
          prompt: { segments: chat.segments },
          adapters: held.adapters,
          choices: body.n,
          maxTokens,
          stop: body.stop,
          shownControlTexts: chat.shownControlTexts,
          sampling: { ...toSampling(body, grammar, body.logprobs ? body.top_logprobs ?? 0 : null, randomSeed), ...chat.toolGrammar },
          queueTimeoutMs: held.queueTimeoutMs,
          timeoutMs: config.requestTimeoutMs
        }]
      }

      if (!body.stream) {
        const answer = new ChatAnswer(identity, body.n, chat.format)
        await runGeneration(generation, answer)
        return answer.toJson()
      }
      const usage = new UsageSum()
      const chunks = new ChatChunks(identity, streamUsageOf(body.stream_options))
      return await streamGeneration(request, reply, services, generation,
        (send) => createChatStreamSink(chunks, usage, chat.format, send), () => chunks.usage(usage))
    } finally {
      held.release()
    }
  })
}
