import { setMaxListeners } from 'node:events'
import { stat } from 'node:fs/promises'
import { adapterKey, type AdapterKey } from '../../domain/adapter-set.ts'
import { ServerError } from '../../domain/errors.ts'
import { asToken, type LaneId, type Token } from '../../domain/ids.ts'
import type { Pooling } from '../../domain/pooling.ts'
import type { Sampling } from '../../domain/sampling.ts'
import { mixSeed } from '../../domain/seed.ts'
import { guessesOf, type DrawnToken, type SampleWork, type SlotWork, type StepPlan, type WorkOutcome } from '../../scheduler/plan.ts'
import type { AdapterFile, Engine, EngineInfo, Tokenizer } from '../engine.ts'
import { ReasoningBudget } from '../reasoning-budget.ts'
import { FakeEmbedder } from './fake-embedder.ts'
import { createFakeModelInfo } from './fake-model.ts'
import { createFakeTokenizer } from './fake-tokenizer.ts'
import { drawByGrammar, FakeGrammars } from './fake-grammars.ts'
import { type Fault, type FaultOptions, FaultScript } from './faults.ts'
import { drawToken, HashModel, tokenLogprob } from './hash-model.ts'
import { PlanChecker, PlanViolation } from './plan-checker.ts'
import { createRealSleep, nextTurn, type Sleep, stepDuration, type StepCosts } from './step-latency.ts'
import { createVocabulary } from './vocabulary.ts'

export interface FakeEngineOptions extends Partial<StepCosts> {
  /** Default 1. */
  readonly laneCount?: number
  /** Default 8. */
  readonly slotsPerLane?: number
  /** Tokens that each slot can hold; default 4096. */
  readonly contextSize?: number
  /** Token budget of one step of one lane; default 512. */
  readonly maxStepTokens?: number
  /** Threads for all lanes together; default one per lane. */
  readonly threads?: number
  /** There is a draft model, whose guesses are right so often, 0 to 1; none where nothing is said. */
  readonly draftAcceptance?: number | undefined
  /** How it makes vectors; it makes none where nothing is said. */
  readonly embeddings?: Pooling | undefined
  /** False is an embedding model: it makes vectors in all lanes rather than the first, of as many tokens as the context has. */
  readonly canGenerate?: boolean
  /** How to wait out a step's duration; real time by default. Not called for steps that take no time. */
  readonly sleep?: Sleep
  /** None by default. */
  readonly faults?: FaultOptions
}

export interface FakeEngine extends Engine {
  /** Plans that were refused because no correct scheduler makes them. Tests expect none. */
  readonly violations: readonly PlanViolation[]
}

/**
 * An engine without a model: the next token is a pure function of the tokens in the slot, the adapter set and the
 * sampling. It needs no weights and no time but what `stepMs` and its like ask for, and it checks every plan.
 *
 * A plan that breaks the rules is refused: its step rejects with a {@link PlanViolation}.
 */
export function createFakeEngine (options: FakeEngineOptions = {}): FakeEngine {
  return new HashEngine(options)
}

/** What a saved token would take of a very small model. */
const bytesPerToken = 1024

class HashEngine implements FakeEngine {
  readonly info: EngineInfo
  readonly tokenizer: Tokenizer
  readonly violations: PlanViolation[] = []
  readonly #model: HashModel
  readonly #grammars: FakeGrammars
  readonly #checker: PlanChecker
  readonly #costs: StepCosts
  readonly #sleeps: readonly Sleep[]
  readonly #faults: FaultScript | null
  readonly #draftAcceptance: number | null
  readonly #embedder: FakeEmbedder | null
  readonly #adapters = new Set<AdapterKey>()
  readonly #disposal = new AbortController()

  constructor (options: FakeEngineOptions) {
    const { laneCount = 1, slotsPerLane = 8, contextSize = 4096, maxStepTokens = 512, threads = laneCount } = options
    const vocabulary = createVocabulary()
    this.tokenizer = createFakeTokenizer(vocabulary)
    this.#model = new HashModel(vocabulary)
    const model = createFakeModelInfo(vocabulary, contextSize)
    const { embeddings: pooling, canGenerate = true } = options
    this.#embedder = pooling === undefined
      ? null
      : new FakeEmbedder(vocabulary, {
        pooling, laneCount: canGenerate ? 1 : laneCount, maxTokens: canGenerate ? Math.min(contextSize, maxStepTokens) : contextSize
      })
    this.info = {
      model,
      backend: 'fake',
      build: 'fake 1',
      placement: 'nowhere: it has no weights',
      isOnGpu: false,
      laneCount,
      slotsPerLane,
      contextSize,
      maxStepTokens,
      threads,
      flashAttention: false,
      endTokens: [vocabulary.control['<|im_end|>'], vocabulary.control['<|endoftext|>']],
      ...(options.draftAcceptance === undefined ? {} : { draftModel: { name: 'fake draft', parameterCount: 0, sizeBytes: 0 } }),
      ...(canGenerate ? {} : { canGenerate }),
      ...(this.#embedder === null ? {} : { embedding: this.#embedder.info })
    }
    this.#draftAcceptance = options.draftAcceptance ?? null
    this.#grammars = new FakeGrammars(vocabulary, this.info.endTokens)
    this.#checker = new PlanChecker({
      laneCount,
      slotsPerLane,
      contextSize,
      maxStepTokens,
      threads,
      vocabularySize: model.vocabularySize,
      isAdapterLoaded: (adapter) => this.#adapters.has(adapterKey(adapter))
    })
    this.#costs = {
      stepMs: options.stepMs ?? 0,
      decodeTokenMs: options.decodeTokenMs ?? 0,
      prefillTokenMs: options.prefillTokenMs ?? 0,
      draftTokenMs: options.draftTokenMs ?? 0
    }
    this.#sleeps = Array.from({ length: laneCount }, () => options.sleep ?? createRealSleep())
    this.#faults = options.faults === undefined ? null : new FaultScript(options.faults, vocabulary.markers)
    // Each lane's step listens to it; the warning of more than ten is for leaks.
    setMaxListeners(0, this.#disposal.signal)
  }

  async step (plan: StepPlan): Promise<readonly WorkOutcome[]> {
    if (this.#disposal.signal.aborted) throw new ServerError('engine_unavailable', 'the engine is disposed')
    try {
      this.#checker.begin(plan)
    } catch (error) {
      if (error instanceof PlanViolation) this.violations.push(error)
      throw error
    }
    try {
      // The caches change now and the tokens are drawn now, while the plan's live history is what it was.
      const fault = this.#faults?.next(plan) ?? null
      const outcomes = plan.work.map((work, index) => this.#compute(work, fault?.workIndex === index ? fault : null))
      for (const sequence of plan.released) this.#grammars.forget(sequence)
      await this.#pass(plan, fault, outcomes)
      return outcomes
    } catch (error) {
      for (const { slot } of plan.work) this.#checker.forget(slot)
      throw error
    } finally {
      this.#checker.end(plan)
    }
  }

  async embed (lane: LaneId, tokens: readonly Token[]): Promise<Float32Array> {
    const { signal } = this.#disposal
    if (signal.aborted) throw new ServerError('engine_unavailable', 'the engine is disposed')
    if (this.#embedder === null) throw new ServerError('engine_error', 'the model makes no vectors')
    const durationMs = this.#costs.stepMs + this.#costs.prefillTokenMs * tokens.length
    return await this.#embedder.embed(lane, tokens, async () => {
      if (durationMs === 0) await nextTurn()
      else await this.#sleeps[lane]!(durationMs, signal)
    })
  }

  checkGrammar (grammar: string): void {
    this.#grammars.check(grammar)
  }

  async loadAdapter (key: AdapterKey, file: AdapterFile, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const found = await stat(file.path).catch((error: unknown) => {
      throw new ServerError('invalid_adapter', `the adapter file ${file.path} cannot be read`, { cause: error })
    })
    signal.throwIfAborted()
    if (!found.isFile()) throw new ServerError('invalid_adapter', `${file.path} is not a file`)
    this.#adapters.add(key)
  }

  async unloadAdapter (key: AdapterKey): Promise<void> {
    this.#adapters.delete(key)
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    this.#disposal.abort(new ServerError('engine_unavailable', 'the engine is disposed'))
  }

  #compute (work: SlotWork, fault: Fault | null): WorkOutcome {
    const outcome = this.#draw(work, fault)
    if (!('token' in outcome)) return outcome
    return {
      ...outcome,
      ...(work.park === undefined ? {} : { parked: { bytes: this.#checker.parkedLength(work.park) * bytesPerToken, durationMs: 0 } }),
      ...(work.restore === undefined ? {} : { restoredInMs: 0 })
    }
  }

  #draw (work: SlotWork, fault: Fault | null): WorkOutcome {
    const { slot, sample } = work
    if (fault?.kind === 'fail') {
      this.#checker.forget(slot)
      return { slot, error: new ServerError('engine_error', 'the slot failed, as the fault script says') }
    }
    if (sample === undefined) return { slot, token: null }
    const guesses = work.draft === undefined ? guessesOf(work) : this.#draft(work, sample)
    let drawn: readonly DrawnToken[]
    try {
      drawn = this.#drawAlong(work, sample, guesses)
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      this.#checker.forget(slot)
      return { slot, error }
    }
    const [first, ...further] = drawn
    if (first === undefined) throw new Error('a draw has a token')
    return {
      slot,
      ...first,
      ...(further.length === 0 ? {} : { further }),
      ...(work.draft === undefined || this.#draftAcceptance === null
        ? {}
        : { drafted: { count: guesses.length, durationMs: this.#draftTokenMs * guesses.length, readMs: 0 } })
    }
  }

  get #draftTokenMs (): number { return this.#costs.draftTokenMs ?? 0 }

  /** What will be drawn, or, as a hash decides, something else; up to the end of the answer. */
  #draft ({ slot, draft = 0 }: SlotWork, { sampling, index }: SampleWork): readonly Token[] {
    const guesses: Token[] = []
    const { endTokens, model: { vocabularySize } } = this.info
    const cache = this.#checker.cache(slot)
    while (this.#draftAcceptance !== null && guesses.length < draft) {
      const drawn = drawToken(this.#model.predict(cache.hash, cache.tokens), sampling, index + guesses.length, endTokens)
      const isRight = mixSeed(cache.hash, 0x64_7261) < this.#draftAcceptance * 2 ** 32
      const guess = isRight ? drawn : asToken((drawn + 1) % vocabularySize)
      if (endTokens.includes(guess)) break
      guesses.push(guess)
      cache.append([guess])
    }
    return guesses
  }

  /** Draws a token, and one after each guess as long as it draws what was guessed. */
  #drawAlong (work: SlotWork, { sampling, index }: SampleWork, guesses: readonly Token[]): readonly DrawnToken[] {
    const { endTokens, model: { vocabularySize } } = this.info
    const cache = this.#checker.cache(work.slot)
    const drawn: DrawnToken[] = []
    for (let length = cache.length - guesses.length; length <= cache.length; length++) {
      const tokens = guesses.length === 0 ? cache.tokens : cache.tokens.slice(0, length)
      const plain = this.#model.predict(cache.hashAt(length), tokens)
      const answer = tokens.slice(tokens.length - index - drawn.length)
      const allowed = this.#grammars.restrict(plain, sampling, work.sequence, answer, cache.hashAt(length))
      const forced = this.#forcedAfter(answer, sampling)
      const isForced = forced !== null && (allowed === null || allowed.some((candidate) => candidate.token === forced))
      const free = (): Token => allowed === null
        ? drawToken(plain, sampling, index + drawn.length, endTokens)
        : drawByGrammar(allowed, sampling, index, endTokens)
      const token = isForced ? forced : free()
      const guess = guesses[drawn.length]
      drawn.push(sampling.logprobs === null
        ? { token }
        : { token, logprobs: tokenLogprob(plain, token, sampling.logprobs, vocabularySize) })
      if (token !== guess || endTokens.includes(token)) break
    }
    this.#checker.drawn(work, ...drawn.map(({ token }) => token))
    return drawn
  }

  /** The token that a limit of reasoning demands. */
  #forcedAfter (answer: readonly Token[], { reasoningLimit }: Sampling): Token | null {
    if (reasoningLimit === null) return null
    const budget = new ReasoningBudget(reasoningLimit, this.tokenizer)
    for (const token of answer) budget.push(token)
    return budget.next
  }

  /** Lets the time of the step pass, and what the fault does to the step as a whole. */
  async #pass (plan: StepPlan, fault: Fault | null, outcomes: readonly WorkOutcome[]): Promise<void> {
    const { signal } = this.#disposal
    const drafted = outcomes.reduce((sum, outcome) => sum + ('token' in outcome ? outcome.drafted?.count ?? 0 : 0), 0)
    const duration = stepDuration(plan, this.#costs, drafted) + (fault?.kind === 'slow' ? this.#faults!.slowStepMs : 0)
    if (duration === 0) await nextTurn()
    else await this.#sleeps[plan.lane]!(duration, signal)
    if (fault?.kind === 'crash') this.#faults!.crash()
    if (fault?.kind === 'crash' || fault?.kind === 'hang') await untilAborted(signal)
    if (fault?.kind === 'reject') throw new ServerError('engine_error', 'the step failed, as the fault script says')
  }
}

/** Never resolves; rejects when the signal fires. */
async function untilAborted (signal: AbortSignal): Promise<never> {
  return await new Promise((_resolve, reject) => {
    const fail = (): void => { reject(ServerError.from(signal.reason, 'engine_unavailable')) }
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}
