import type { OpenAI } from 'openai'
import { asRequestId, asToken } from '../../domain/ids.ts'
import { ServerError } from '../../domain/errors.ts'
import type { FinishReason } from '../../domain/finish-reason.ts'
import type { GenerationEvent, Inference, Prompt } from '../../inference/inference.ts'
import { answerBounds } from '../answer-bounds.ts'
import { type AnswerIdentity, createAnswerIdentity } from '../answer-identity.ts'
import { createBooking } from '../book-usage.ts'
import { CompletionChunks } from '../completion-chunks.ts'
import { type Generation, type GenerationSink, UsageSum, runGeneration, streamGeneration } from '../generation.ts'
import { type LegacyLogprobs, LegacyLogprobWriter, joinLegacyLogprobs } from '../logprobs.ts'
import { holdAdapters } from '../hold-adapters.ts'
import { runsModels } from '../needs.ts'
import { checkLogitBias, checkTokens, openGenerativeModel } from '../open-model.ts'
import { reserveRun } from '../reserve-run.ts'
import { estimateRun } from '../run-estimate.ts'
import { checkSamplingRequest } from '../schemas/check-sampling-request.ts'
import { type CompletionRequest, type PromptInput, completionRequestSchema, withPrompt } from '../schemas/completion-request.ts'
import { outputFormatOf } from '../schemas/output-format.ts'
import { completionParameterPolicies } from '../schemas/parameter-policy.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { maxChoices, toSampling } from '../schemas/sampling-options.ts'
import { queueTimeoutOf, serviceClassOf } from '../schemas/service-class.ts'
import type { Route } from '../services.ts'
import { openAiStream } from '../sse.ts'
import { startTrace } from '../start-trace.ts'
import { streamUsageOf, toUsage } from '../usage.ts'

/** `POST /v1/completions`. Choice `i` of prompt `p` has the index `p * n + i`. */
export const completionsRoute: Route = (app, services) => {
  const { config, now, preparation, randomSeed } = services

  app.post('/v1/completions', runsModels, async (request, reply) => {
    const body = readBody(request.body)
    const context = request.requestContext
    const { caller } = context
    const model = openGenerativeModel(services, caller, body.model, body.lora)
    const { host, info } = model
    checkLogitBias(body.logit_bias, info)
    for (const prompt of body.prompt) if (typeof prompt !== 'string') checkTokens(prompt, info, 'prompt')

    const serviceClass = serviceClassOf(body, caller)
    const identity = createAnswerIdentity('cmpl', body.model, info, serviceClass.tier)
    const trace = startTrace({ id: identity.id, operation: 'text_completion', maxTokens: body.max_tokens }, model, body, context, services)
    const grammar = await preparation.grammarOf(outputFormatOf(body), { tenant: caller.tenant, signal: context.cancellation.signal })
    const sampling = toSampling(body, grammar, body.logprobs ?? null, randomSeed)
    const bounds = answerBounds(caller, body.max_tokens, host.answerLength)
    const prompts = body.prompt.map(toPrompt)
    await reserveRun(identity.id, host.id, estimateRun({ prompts, choices: body.n, ...bounds }, info), context, services)
    const held = await holdAdapters(model, queueTimeoutOf(serviceClass, config), now, context.cancellation.signal)
    try {
      const generation: Generation = {
        inference: host.inference,
        trace,
        book: createBooking(trace, context, services),
        cancellation: context.cancellation,
        requests: prompts.map((prompt, index) => ({
          id: asRequestId(prompts.length === 1 ? identity.id : `${identity.id}-${index}`),
          tenant: caller.tenant,
          weight: caller.weight,
          priority: serviceClass.priority,
          prompt,
          adapters: held.adapters,
          choices: body.n,
          ...bounds,
          stop: body.stop,
          sampling,
          queueTimeoutMs: held.queueTimeoutMs,
          timeoutMs: config.requestTimeoutMs
        }))
      }
      const echoes = body.echo ? await Promise.all(body.prompt.map(async (prompt) => await textOf(prompt, host.inference))) : null

      if (!body.stream) {
        const answer = new CompletionAnswer(identity, body, echoes)
        await runGeneration(generation, answer)
        return answer.toJson()
      }
      const usage = new UsageSum()
      const chunks = new CompletionChunks(identity, streamUsageOf(body.stream_options))
      return await streamGeneration(request, reply, services, generation, {
        ...openAiStream,
        createSink: (send) => createCompletionStreamSink(chunks, body.n, echoes, usage, send),
        end: () => chunks.usage(usage) + openAiStream.end()
      })
    } finally {
      held.release()
    }
  })
}

function readBody (raw: unknown): CompletionRequest {
  const body = parseRequest(completionRequestSchema, withPrompt(raw), completionParameterPolicies)
  checkSamplingRequest(body, body.max_tokens)
  if (body.best_of !== undefined && body.best_of !== body.n) {
    throw new ServerError('unsupported_value', `Invalid value for 'best_of': ${body.best_of} answers of which ${body.n} are returned is not supported; it must equal 'n'`, { param: 'best_of' })
  }
  if (body.echo && body.logprobs !== undefined) {
    throw new ServerError('unsupported_value', 'Log-probabilities of the prompt are not supported: leave out \'echo\' or \'logprobs\'', { param: 'echo' })
  }
  const choices = body.prompt.length * body.n
  if (choices > maxChoices) {
    throw new ServerError('invalid_value', `${body.prompt.length} prompts with ${body.n} choices each make ${choices} answers; the limit is ${maxChoices}`, { param: 'prompt' })
  }
  return body
}

/** Whoever calls this endpoint writes the template's part as well, so control texts in the prompt are control tokens. */
const toPrompt = (prompt: PromptInput): Prompt => typeof prompt === 'string'
  ? { segments: [{ text: prompt, origin: 'template' }] }
  : { tokens: prompt.map(asToken) }

const textOf = async (prompt: PromptInput, inference: Inference): Promise<string> =>
  typeof prompt === 'string' ? prompt : await inference.detokenize(prompt.map(asToken))

function createCompletionStreamSink (
  chunks: CompletionChunks, n: number, echoes: readonly string[] | null, usage: UsageSum, send: (events: string) => void
): GenerationSink {
  const started = new Map<number, { readonly logprobs: LegacyLogprobWriter, readonly counts: UsageSum }>()
  const promptCounts: UsageSum[] = []

  /** What is known of a choice; sends its prompt when that is to be echoed and there was nothing of it yet. */
  const open = (prompt: number, index: number) => {
    let choice = started.get(index)
    if (choice === undefined) {
      choice = { logprobs: new LegacyLogprobWriter(), counts: new UsageSum() }
      choice.counts.add(promptCounts[prompt] ?? new UsageSum())
      started.set(index, choice)
      const echo = echoes?.[prompt]
      if (echo !== undefined) send(chunks.text(index, echo, null, choice.counts))
    }
    return choice
  }

  return {
    take (prompt, event) {
      switch (event.type) {
        case 'accepted':
          promptCounts[prompt] = new UsageSum()
          promptCounts[prompt].promptTokens = event.promptTokens
          break
        case 'choice-started':
          break
        case 'text': {
          const index = prompt * n + event.choice
          const { logprobs, counts } = open(prompt, index)
          counts.completionTokens = event.drawnTokens
          send(chunks.text(index, event.text, event.logprobs === undefined ? null : logprobs.take(event.logprobs), counts))
          break
        }
        case 'choice-finished': {
          const index = prompt * n + event.choice
          const { counts } = open(prompt, index)
          counts.completionTokens = event.completionTokens
          send(chunks.finish(index, event.reason, counts))
          break
        }
        case 'finished':
          usage.add(event)
      }
    }
  }
}

interface CompletionChoice {
  text: string
  readonly writer: LegacyLogprobWriter
  readonly logprobs: LegacyLogprobs[]
  reason: FinishReason
}

/** Collects an answer that is sent as one JSON body. */
class CompletionAnswer implements GenerationSink {
  readonly #identity: AnswerIdentity
  readonly #n: number
  readonly #choices: readonly CompletionChoice[]
  readonly #usage = new UsageSum()

  constructor (identity: AnswerIdentity, { n, prompt }: CompletionRequest, echoes: readonly string[] | null) {
    this.#identity = identity
    this.#n = n
    this.#choices = Array.from({ length: prompt.length * n }, (_, index) => ({
      text: echoes?.[Math.floor(index / n)] ?? '', writer: new LegacyLogprobWriter(), logprobs: [], reason: 'stop'
    }))
  }

  take (prompt: number, event: GenerationEvent): void {
    if (event.type === 'finished') this.#usage.add(event)
    if (event.type !== 'text' && event.type !== 'choice-finished') return
    const choice = this.#choices[prompt * this.#n + event.choice]
    if (choice === undefined) return
    if (event.type === 'choice-finished') {
      choice.reason = event.reason
      return
    }
    choice.text += event.text
    if (event.logprobs !== undefined) choice.logprobs.push(choice.writer.take(event.logprobs))
  }

  toJson () {
    const { id, created, model, fingerprint, serviceTier } = this.#identity
    return {
      id,
      object: 'text_completion',
      created,
      model,
      choices: this.#choices.map(({ text, logprobs, reason }, index) => ({
        text,
        index,
        logprobs: logprobs.length === 0 ? null : joinLegacyLogprobs(logprobs),
        finish_reason: reason
      })),
      usage: toUsage(this.#usage),
      service_tier: serviceTier,
      system_fingerprint: fingerprint
    } satisfies OpenAI.Completion & Pick<OpenAI.ChatCompletion, 'service_tier'>
  }
}
