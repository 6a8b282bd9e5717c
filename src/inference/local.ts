import { ServerError } from '../domain/errors.ts'
import { asSequenceId, asToken, type Millis, type RequestId, type SequenceId, type Token } from '../domain/ids.ts'
import { mixSeed } from '../domain/seed.ts'
import type { Engine, EngineInfo } from '../engine/engine.ts'
import type { StepPlan } from '../scheduler/plan.ts'
import { Scheduler } from '../scheduler/scheduler.ts'
import type { NewSequence, SchedulingLimits, SchedulingOptions, SequenceEvent } from '../scheduler/scheduler-types.ts'
import { detokenizeRefusal, lengthRefusal, predictionRefusal, promptRefusal, tokenizeRefusal } from './call-limits.ts'
import { Choice } from './choice.ts'
import { TokenTexts } from './detokenizer.ts'
import { Embeddings, type EmbeddingSink } from './embeddings.ts'
import type { EmbeddingEvent, EmbeddingRequest, GenerationEvent, GenerationRequest, Inference, InferenceSnapshot, Prompt } from './inference.ts'
import { readEvents } from './read-events.ts'
import { StepLoop } from './step-loop.ts'

export interface LocalInferenceOptions extends SchedulingOptions {
  /** Monotonic clock in milliseconds. */
  readonly now?: () => Millis
  /** A step that was lost as a whole. For the log: the requests in it end with `engine_error`. */
  readonly onStepLost?: (plan: StepPlan, error: Error) => void
}

/** Takes a request's events as they happen, synchronously; after `end` or `fail` there is nothing more. */
export interface GenerationSink {
  push (event: GenerationEvent): void
  end (): void
  fail (error: ServerError): void
}

interface RunningRequest {
  readonly id: RequestId
  readonly sink: GenerationSink
  readonly choices: readonly Choice[]
  readonly promptTokens: number
  cachedTokens: number
  completionTokens: number
}

/** Most consecutive steps for an adapter set while others wait: a tiny model's steps are shorter than a change of adapters. */
const DEFAULT_TURN_STEPS = 64

/**
 * Inference in the process that holds the engine: tokenizes, schedules, steps, and turns tokens into text.
 *
 * It owns the engine from construction on and disposes it.
 */
export class LocalInference implements Inference {
  readonly #engine: Engine
  readonly #now: () => Millis
  readonly #scheduler: Scheduler
  readonly #loop: StepLoop
  readonly #embeddings: Embeddings
  readonly #texts: TokenTexts
  readonly #makesGuesses: boolean
  readonly #requests = new Map<RequestId, RunningRequest>()
  readonly #owners = new Map<SequenceId, { readonly request: RunningRequest, readonly choice: Choice }>()
  #isDraining = false
  #idle: (() => void)[] = []
  #disposal: Promise<void> | null = null

  constructor (engine: Engine, options: LocalInferenceOptions) {
    const { info } = engine
    this.#engine = engine
    const { now = () => performance.now(), onStepLost = () => {}, ...scheduling } = options
    this.#now = now
    this.#makesGuesses = (scheduling.mostGuesses ?? 0) > 0
    this.#texts = new TokenTexts(engine.tokenizer)
    this.#scheduler = new Scheduler({
      turnSteps: DEFAULT_TURN_STEPS,
      policy: 'fair',
      targetItlMs: 'auto',
      ...scheduling,
      laneCount: info.laneCount,
      slotsPerLane: info.slotsPerLane,
      contextSize: info.contextSize,
      stepTokens: info.maxStepTokens,
      threads: info.threads,
      lanesAreApart: info.isOnGpu,
      endTokens: info.endTokens,
      hasDraftModel: info.draftModel !== undefined
    })
    this.#embeddings = new Embeddings(engine, { policy: 'fair', ...scheduling }, {
      now,
      onWork: () => this.#loop.wake(),
      onIdle: () => this.#noteIdle()
    })
    this.#loop = new StepLoop({
      scheduler: this.#scheduler,
      embeddings: this.#embeddings,
      engine,
      now: this.#now,
      onEvents: (events) => { for (const event of events) this.#take(event) },
      onStepLost
    })
  }

  get info (): EngineInfo { return this.#engine.info }

  async * generate (request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent> {
    yield * readEvents<GenerationEvent>((queue) => this.submit(request, queue), () => this.abort(request.id), signal)
  }

  async * embed (request: EmbeddingRequest, signal: AbortSignal): AsyncIterable<EmbeddingEvent> {
    yield * readEvents<EmbeddingEvent>((queue) => this.submitEmbedding(request, queue), () => this.abortEmbedding(request.id), signal)
  }

  /**
   * Like {@link generate}, for callers that take events synchronously: no promise per token.
   * @throws ServerError what `generate` throws before its first event; the sink is then never called.
   */
  submit (request: GenerationRequest, sink: GenerationSink): void {
    if (this.#isDraining) throw new ServerError('server_draining', 'The server is shutting down')
    const { info } = this
    if (info.canGenerate === false) throw new ServerError('unsupported_value', 'The model makes vectors of texts and writes none', { param: 'model' })
    const { sampling } = request
    throwIf(promptRefusal(request.prompt, info, request.contextLimit))
    throwIf(predictionRefusal(request.prediction, info))
    const now = this.#now()
    const sequences = Array.from({ length: request.choices }, (_, index) => newSequence(request, index, [asToken(0)], [], now))
    // A full queue costs nothing: neither grammar nor prompt of what it refuses is read.
    this.#scheduler.checkRoom(sequences, now)
    if (sampling.grammar !== null) this.#engine.checkGrammar(sampling.grammar)
    const prompt = this.#tokens(request.prompt, true)
    if (prompt.length === 0) throw new ServerError('invalid_value', 'The prompt is empty', { param: 'prompt' })
    throwIf(lengthRefusal(prompt.length, info, request.contextLimit))
    const outside = prompt.find((token) => !Number.isInteger(token) || token < 0 || token >= info.model.vocabularySize)
    if (outside !== undefined) {
      throw new ServerError('invalid_value',
        `Token ${outside} is not in the vocabulary, whose tokens are 0 to ${info.model.vocabularySize - 1}`,
        { param: 'prompt' })
    }

    const prediction = this.#makesGuesses && request.prediction !== undefined ? this.#engine.tokenizer.tokenize(request.prediction, { special: false }) : []
    const shown = this.#shownControls(request.shownControlTexts ?? [])
    const choices = sequences.map(({ id }, index) => new Choice(index, id, request.stop, this.#engine.tokenizer, this.#texts, shown))
    const running: RunningRequest = {
      id: request.id, sink, choices, promptTokens: prompt.length, cachedTokens: 0, completionTokens: 0
    }
    const pushedOut = this.#scheduler.addAll(choices.map(({ index }) => newSequence(request, index, prompt, prediction, now)), now)
    this.#requests.set(request.id, running)
    for (const choice of choices) this.#owners.set(choice.sequence, { request: running, choice })
    sink.push({ type: 'accepted', promptTokens: prompt.length })
    for (const event of pushedOut) this.#take(event)
    this.#loop.wake()
  }

  /**
   * Like {@link embed}, for callers that take events synchronously.
   * @throws ServerError when it can be refused at once; the sink is then never called
   */
  submitEmbedding (request: EmbeddingRequest, sink: EmbeddingSink): void {
    if (this.#isDraining) throw new ServerError('server_draining', 'The server is shutting down')
    this.#embeddings.submit(request, sink)
  }

  /** Ends a request for vectors without a word to its sink; unknown and ended ones are ignored. */
  abortEmbedding (id: RequestId): void {
    this.#embeddings.abort(id)
  }

  /** The request that a sequence is a choice of; undefined when it has ended. */
  requestOf (sequence: SequenceId): RequestId | undefined {
    return this.#owners.get(sequence)?.request.id
  }

  /** Ends a request without a word to its sink; unknown and ended ones are ignored. */
  abort (id: RequestId): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    this.#forget(request)
    this.#loop.wake()
  }

  async tokenize (prompt: Prompt, options: { readonly addBos: boolean }): Promise<readonly Token[]> {
    throwIf(tokenizeRefusal(prompt, this.info))
    return this.#tokens(prompt, options.addBos)
  }

  async detokenize (tokens: readonly Token[]): Promise<string> {
    throwIf(detokenizeRefusal(tokens, this.info))
    const { tokenizer } = this.#engine
    return Buffer.concat(tokens.map((token) => {
      const bytes = tokenizer.tokenBytes(token)
      return bytes.length > 0 ? bytes : Buffer.from(tokenizer.tokenText(token))
    })).toString()
  }

  /** Takes other limits from now on; what waits and runs is not turned away for them. */
  limit (limits: SchedulingLimits): void {
    this.#scheduler.limit(limits)
    this.#embeddings.limit(limits)
  }

  snapshot (): InferenceSnapshot {
    const generations = this.#scheduler.snapshot()
    const embeddings = this.#embeddings.counts()
    return {
      ...generations,
      waiting: generations.waiting + embeddings.waiting,
      running: generations.running + embeddings.running,
      steps: generations.steps + embeddings.embeddedInputs,
      promptTokens: generations.promptTokens + embeddings.embeddedTokens,
      lastStepAt: latest(generations.lastStepAt, embeddings.lastStepAt),
      embeddedInputs: embeddings.embeddedInputs,
      stepSeconds: this.#loop.stepSeconds,
      requests: this.#requests.size + this.#embeddings.size
    }
  }

  async close (): Promise<void> {
    this.#isDraining = true
    if (this.#requests.size + this.#embeddings.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
    await this.#dispose()
  }

  async destroy (error: Error): Promise<void> {
    this.#isDraining = true
    const reason = ServerError.from(error, 'engine_error')
    for (const request of [...this.#requests.values()]) this.#fail(request, reason)
    this.#embeddings.failAll(reason)
    await this.#dispose()
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.destroy(new ServerError('server_draining', 'The server is shutting down'))
  }

  #dispose (): Promise<void> {
    this.#disposal ??= (async () => {
      await this.#loop.close()
      await this.#engine[Symbol.asyncDispose]()
    })()
    return this.#disposal
  }

  /** Texts that are no control token's are left out. */
  #shownControls (texts: readonly string[]): ReadonlyMap<Token, string> {
    const { tokenizer } = this.#engine
    const shown = new Map<Token, string>()
    for (const text of texts) {
      const [token, more] = tokenizer.tokenize(text, { special: true })
      if (token !== undefined && more === undefined && tokenizer.tokenBytes(token).length === 0) shown.set(token, text)
    }
    return shown
  }

  #tokens (prompt: Prompt, addBos: boolean): readonly Token[] {
    if ('tokens' in prompt) return prompt.tokens
    const { tokenizer, info: { model } } = this.#engine
    const tokens = prompt.segments.flatMap(({ text, origin }) =>
      text === '' ? [] : tokenizer.tokenize(text, { special: origin === 'template' }))
    if (addBos && this.info.canGenerate === false) {
      const { before = [], after = [] } = this.info.embedding?.frame ?? {}
      return [...before, ...tokens, ...after]
    }
    // Templates often write the BOS token themselves.
    if (!addBos || !model.addsBos || model.bosToken === null || tokens[0] === model.bosToken) return tokens
    return [model.bosToken, ...tokens]
  }

  #take (event: SequenceEvent): void {
    const owner = this.#owners.get(event.id)
    if (owner === undefined) return
    const { request, choice } = owner
    switch (event.type) {
      case 'sequence-started':
        if (choice.index === 0) request.cachedTokens = event.cachedTokens
        request.sink.push({
          type: 'choice-started', choice: choice.index, cachedTokens: event.cachedTokens, queuedMs: event.queuedMs
        })
        break
      case 'token-drawn':
        choice.take(event.token, event.logprobs, (generated) => request.sink.push(generated))
        // The step that is under way may draw one more token for it; nobody will see that one.
        if (choice.isFinished) {
          this.#scheduler.finish(choice.sequence)
          this.#loop.wake()
        }
        break
      case 'sequence-finished':
        choice.end(event.reason, event.drawnTokens, (generated) => request.sink.push(generated))
        break
      case 'sequence-failed':
        this.#fail(request, event.error)
        return
    }
    if (choice.isFinished) this.#finish(request, choice)
  }

  #finish (request: RunningRequest, choice: Choice): void {
    this.#owners.delete(choice.sequence)
    request.completionTokens += choice.drawnTokens
    if (request.choices.some(({ isFinished }) => !isFinished)) return
    const { promptTokens, cachedTokens, completionTokens } = request
    this.#forget(request)
    request.sink.push({ type: 'finished', promptTokens, cachedTokens, completionTokens })
    request.sink.end()
  }

  #fail (request: RunningRequest, error: ServerError): void {
    this.#forget(request)
    request.sink.fail(error)
  }

  /** Takes a request out of everything; whatever of it still runs is aborted. */
  #forget (request: RunningRequest): void {
    this.#requests.delete(request.id)
    for (const { sequence } of request.choices) {
      this.#owners.delete(sequence)
      this.#scheduler.abort(sequence)
    }
    this.#noteIdle()
  }

  #noteIdle (): void {
    if (this.#requests.size + this.#embeddings.size > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

const sequenceIdOf = ({ id }: GenerationRequest, index: number): SequenceId => asSequenceId(`${id}/${index}`)

/** A choice of a request as the scheduler takes it. */
function newSequence (request: GenerationRequest, index: number, prompt: readonly Token[], prediction: readonly Token[], now: Millis): NewSequence {
  const { sampling } = request
  return {
    id: sequenceIdOf(request, index),
    tenant: request.tenant,
    ...(request.weight === undefined ? {} : { weight: request.weight }),
    ...(request.priority === undefined ? {} : { priority: request.priority }),
    adapters: request.adapters,
    prompt,
    maxTokens: withinContext(request, prompt.length),
    sampling: index === 0 ? sampling : { ...sampling, seed: mixSeed(sampling.seed, index) },
    ...(prediction.length === 0 ? {} : { prediction }),
    ...(index === 0 ? {} : { sharesPromptWith: sequenceIdOf(request, 0) }),
    queueDeadline: now + request.queueTimeoutMs,
    deadline: now + request.timeoutMs
  }
}

const latest = (a: Millis | null, b: Millis | null): Millis | null => a === null || b === null ? a ?? b : Math.max(a, b)

/** What the request's own context leaves for each answer. */
function withinContext ({ maxTokens, contextLimit = Infinity }: GenerationRequest, promptTokens: number): number | null {
  const most = Math.min(maxTokens ?? Infinity, contextLimit - promptTokens)
  return most === Infinity ? null : most
}

function throwIf (refusal: ServerError | null): void {
  if (refusal !== null) throw refusal
}
