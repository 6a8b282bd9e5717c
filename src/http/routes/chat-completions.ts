import type { OpenAI } from 'openai'
import { asRequestId } from '../../domain/ids.ts'
import { ServerError } from '../../domain/errors.ts'
import type { FinishReason } from '../../domain/finish-reason.ts'
import type { TextLogprob } from '../../inference/inference.ts'
import { type AnswerIdentity, createAnswerIdentity } from '../answer-identity.ts'
import { ChatChunks } from '../chat-chunks.ts'
import { type Generation, type GenerationSink, UsageSum, runGeneration, streamGeneration } from '../generation.ts'
import { GenerationTrace } from '../generation-trace.ts'
import { toChatLogprobs } from '../logprobs.ts'
import { holdAdapters } from '../hold-adapters.ts'
import { checkLogitBias, openModel } from '../open-model.ts'
import { type ChatCompletionRequest, chatCompletionRequestSchema, refuseUnsupportedMessages } from '../schemas/chat-completion-request.ts'
import { checkSamplingRequest } from '../schemas/check-sampling-request.ts'
import { outputFormatOf } from '../schemas/output-format.ts'
import { chatParameterPolicies } from '../schemas/parameter-policy.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { toSampling } from '../schemas/sampling-options.ts'
import { serviceClassOf } from '../schemas/service-class.ts'
import type { Route } from '../services.ts'
import { streamUsageOf, toUsage } from '../usage.ts'
import { withSystemPrompt } from '../with-system-prompt.ts'

/** `POST /v1/chat/completions` */
export const chatCompletionsRoute: Route = (app, services) => {
  const { chatTemplates, config, now, outputGrammars, randomSeed } = services

  app.post('/v1/chat/completions', async (request, reply) => {
    const body = readBody(request.body)
    const grammar = outputGrammars.of(outputFormatOf(body))
    const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? null
    const model = openModel(services.adapters, body.model, body.lora)
    const { host, info, picks } = model
    checkLogitBias(body.logit_bias, info)

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
    const prompt = { segments: chatTemplates.of(info.model, model.chatTemplate).render(withSystemPrompt(body.messages, model.systemPrompt)) }
    // What fills idle time waits for it.
    const queueTimeoutMs = serviceClass.priority === 'batch' ? config.requestTimeoutMs : config.queueTimeoutMs
    const held = await holdAdapters(model, queueTimeoutMs, now, context.cancellation.signal)
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
          prompt,
          adapters: held.adapters,
          choices: body.n,
          maxTokens,
          stop: body.stop,
          sampling: toSampling(body, grammar, body.logprobs ? body.top_logprobs ?? 0 : null, randomSeed),
          queueTimeoutMs: held.queueTimeoutMs,
          timeoutMs: config.requestTimeoutMs
        }]
      }

      if (!body.stream) {
        const answer = new ChatAnswer(identity, body.n)
        await runGeneration(generation, answer)
        return answer.toJson()
      }
      const usage = new UsageSum()
      const chunks = new ChatChunks(identity, streamUsageOf(body.stream_options))
      return await streamGeneration(request, reply, services, generation,
        (send) => createChatStreamSink(chunks, usage, send), () => chunks.usage(usage))
    } finally {
      held.release()
    }
  })
}

function readBody (body: unknown): ChatCompletionRequest {
  if (typeof body === 'object' && body !== null && 'messages' in body) refuseUnsupportedMessages(body.messages)
  const parsed = parseRequest(chatCompletionRequestSchema, body, chatParameterPolicies)
  if (parsed.top_logprobs !== undefined && parsed.top_logprobs > 0 && !parsed.logprobs) {
    throw new ServerError('invalid_value', 'Invalid value for \'top_logprobs\': it needs \'logprobs\' to be true', { param: 'top_logprobs' })
  }
  checkSamplingRequest(parsed, parsed.max_completion_tokens ?? parsed.max_tokens ?? null)
  return parsed
}

/** Writes a chunk per text; the first one of a choice follows its role in the same write. */
function createChatStreamSink (chunks: ChatChunks, usage: UsageSum, send: (events: string) => void): GenerationSink {
  const counts = new Map<number, UsageSum>()
  let promptTokens = 0
  let cachedTokens = 0

  /** The choice's usage so far; sends its role when there was nothing of it yet. */
  const countsOf = (choice: number): UsageSum => {
    let known = counts.get(choice)
    if (known === undefined) {
      known = new UsageSum()
      known.add({ promptTokens, cachedTokens, completionTokens: 0 })
      counts.set(choice, known)
      send(chunks.role(choice, known))
    }
    return known
  }

  return {
    take (_prompt, event) {
      switch (event.type) {
        case 'accepted':
          promptTokens = event.promptTokens
          break
        case 'choice-started':
          cachedTokens = Math.max(cachedTokens, event.cachedTokens)
          break
        case 'text': {
          const choiceCounts = countsOf(event.choice)
          choiceCounts.completionTokens = event.drawnTokens
          send(chunks.text(event.choice, event.text, event.logprobs, choiceCounts))
          break
        }
        case 'choice-finished': {
          const choiceCounts = countsOf(event.choice)
          choiceCounts.completionTokens = event.completionTokens
          send(chunks.finish(event.choice, event.reason, choiceCounts))
          break
        }
        case 'finished':
          usage.add(event)
      }
    }
  }
}

interface ChatChoice {
  text: string
  readonly logprobs: TextLogprob[]
  hasLogprobs: boolean
  reason: FinishReason
}

/** Collects an answer that is sent as one JSON body. */
class ChatAnswer implements GenerationSink {
  readonly #identity: AnswerIdentity
  readonly #choices: readonly ChatChoice[]
  readonly #usage = new UsageSum()

  constructor (identity: AnswerIdentity, choices: number) {
    this.#identity = identity
    this.#choices = Array.from({ length: choices }, () => ({ text: '', logprobs: [], hasLogprobs: false, reason: 'stop' }))
  }

  take (_prompt: number, event: Parameters<GenerationSink['take']>[1]): void {
    if (event.type === 'finished') this.#usage.add(event)
    if (event.type !== 'text' && event.type !== 'choice-finished') return
    const choice = this.#choices[event.choice]
    if (choice === undefined) return
    if (event.type === 'choice-finished') {
      choice.reason = event.reason
      return
    }
    choice.text += event.text
    if (event.logprobs !== undefined) {
      choice.hasLogprobs = true
      choice.logprobs.push(...event.logprobs)
    }
  }

  toJson () {
    const { id, created, model, fingerprint, serviceTier } = this.#identity
    return {
      id,
      object: 'chat.completion',
      created,
      model,
      system_fingerprint: fingerprint,
      choices: this.#choices.map(({ text, logprobs, hasLogprobs, reason }, index) => ({
        index,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: hasLogprobs ? { content: toChatLogprobs(logprobs), refusal: null } : null,
        finish_reason: reason
      })),
      usage: toUsage(this.#usage),
      ...(serviceTier === undefined ? {} : { service_tier: serviceTier })
    } satisfies OpenAI.Chat.ChatCompletion
  }
}
