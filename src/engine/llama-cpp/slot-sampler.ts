import { ServerError } from '../../domain/errors.ts'
import { asToken } from '../../domain/ids.ts'
import type { Token } from '../../domain/ids.ts'
import type { TokenCandidate, TokenLogprob } from '../../domain/sampling.ts'
import type { DrawnToken, SampleWork } from '../../scheduler/plan.ts'
import type { Tokenizer } from '../engine.ts'
import type { AnswerState } from './answer-state.ts'
import type { BreakerTails } from './dry-penalty.ts'
import type { Grammars } from './grammars.ts'
import type { LogitIndex, NativeBindings, NativeContext, NativeModel, NativeSampler } from './native.ts'
import { bansEndTokens, samplerConfig } from './sampler-config.ts'
import type { SequenceBreakers } from './sequence-breakers.ts'

/** What all samplers of an engine share. */
export interface SamplingParts {
  readonly bindings: NativeBindings
  readonly model: NativeModel
  readonly grammars: Grammars
  readonly sequenceBreakers: SequenceBreakers
  readonly endTokens: readonly Token[]
  readonly tokenizer: Tokenizer
  readonly vocabularySize: number
}

const noCounts: ReadonlyMap<number, number> = new Map()
const noBreakers: BreakerTails = new Map()

/**
 * Draws the tokens of whatever sequence holds a slot. Its native samplers carry nothing from one draw to the next that
 * matters: settings are applied anew each time, and the dice are seeded for each token, so a draw depends on the logits,
 * the sampling, the history and the index alone.
 */
export class SlotSampler {
  readonly #parts: SamplingParts
  readonly #context: NativeContext
  readonly #sampler: NativeSampler
  #seed: number | null = null
  /** Greedy and without options, for the normalizer of log-probabilities. */
  #plain: NativeSampler | null = null
  /** Cuts to the most likely candidates. */
  #top: NativeSampler | null = null

  constructor (parts: SamplingParts, context: NativeContext) {
    this.#parts = parts
    this.#context = context
    this.#sampler = new parts.bindings.AddonSampler(parts.model)
  }

  /**
   * Applies the options of one draw, while the decode that it waits for may still run, and gives the draw itself.
   * @throws ServerError `invalid_grammar`, or `invalid_value` for a token outside the vocabulary
   */
  prepare (work: SampleWork, answer: AnswerState): (index: LogitIndex) => Promise<DrawnToken> {
    const { grammars, sequenceBreakers, endTokens, tokenizer, vocabularySize } = this.#parts
    const { sampling } = work
    const outside = sampling.logitBias.find(([token]) => token >= vocabularySize)
    if (outside !== undefined) {
      throw new ServerError('invalid_value', `logit_bias names token ${outside[0]}; the vocabulary has ${vocabularySize} tokens`, { param: 'logit_bias' })
    }
    const grammar = answer.grammarOf(work, grammars, tokenizer)
    const forced = answer.forcedOf(work, tokenizer)
    if (forced !== null && (grammar === null || grammars.allows(grammar, forced))) {
      if (grammar !== null) {
        grammars.accept(grammar, forced)
        answer.keepGrammar(grammar)
      }
      return async (index) => sampling.logprobs === null ? { token: forced } : { token: forced, logprobs: await this.#logprobs(index, forced, sampling.logprobs) }
    }
    const usesCounts = sampling.presencePenalty !== 0 || sampling.frequencyPenalty !== 0
    const config = samplerConfig({
      sampling,
      index: work.index,
      history: work.history,
      answerCounts: usesCounts ? answer.countsOf(work) : noCounts,
      breakers: sampling.dryMultiplier > 0 ? answer.breakersOf(work, sequenceBreakers) : noBreakers,
      grammar,
      endTokens
    })
    if (config.tokenBiasValues !== undefined && config.tokenBiasValues.length >= vocabularySize && config.tokenBiasValues.every((bias) => bias === -Infinity)) {
      throw new ServerError('invalid_value', 'logit_bias bans every token of the vocabulary', { param: 'logit_bias' })
    }
    // A sampler that is given the seed it has goes on with its dice instead of throwing them anew.
    const throwsDice = sampling.temperature > 0 || sampling.xtcProbability > 0
    if (throwsDice && config.seed === this.#seed) this.#sampler.applyConfig({ ...config, seed: (config.seed ?? 0) ^ 1 })
    this.#sampler.applyConfig(config)
    this.#seed = config.seed ?? null

    return async (index) => {
      const token = grammar === null
        ? await this.#drawFreely(index)
        : await this.#drawByGrammar(index, work, answer, grammar)
      if (sampling.logprobs === null) return { token }
      return { token, logprobs: await this.#logprobs(index, token, sampling.logprobs) }
    }
  }

  dispose (): void {
    for (const sampler of [this.#sampler, this.#plain, this.#top]) sampler?.dispose()
  }

  async #drawFreely (index: LogitIndex): Promise<Token> {
    const token = await this.#context.sampleToken(index, this.#sampler)
    if (token < 0) throw new ServerError('engine_error', 'No token was left to draw')
    return asToken(token)
  }

  /**
   * Where the grammar allows nothing but the end of the answer and the options forbid the end, the answer ends all the
   * same: there is nothing else that it could hold.
   */
  async #drawByGrammar (
    index: LogitIndex, work: SampleWork, answer: AnswerState, grammar: ReturnType<Grammars['createState']>
  ): Promise<Token> {
    const { grammars, endTokens, tokenizer } = this.#parts
    let cause: unknown
    try {
      const [token, , , , weight] = await this.#context.sampleToken(index, this.#sampler, false, false, undefined, true)
      // At a dead end every logit is -Infinity and the draw is arbitrary; the sum of their weights is then not a number.
      if (token >= 0 && !Number.isNaN(weight)) {
        answer.keepGrammar(grammar)
        return asToken(token)
      }
    } catch (error) {
      cause = error
    }
    // Native states are only freed by the garbage collector, so the state before the draw is made again, not copied for each.
    const before = bansEndTokens(work) ? answer.grammarOf(work, grammars, tokenizer) : null
    const end = before === null ? undefined : endTokens.find((token) => grammars.allows(before, token))
    if (before !== null && end !== undefined) {
      answer.keepGrammar(before)
      return end
    }
    throw new ServerError('invalid_grammar', 'No token that may be drawn continues the answer as the grammar demands', { param: 'grammar', cause })
  }

  /**
   * Log-probabilities of the untouched logits. The whole vocabulary stays on the native side: one pass gives the highest
   * logit, the chosen one and the sum of weights, another the most likely candidates.
   */
  async #logprobs (index: LogitIndex, token: Token, topCount: number): Promise<TokenLogprob> {
    const { AddonSampler } = this.#parts.bindings
    if (this.#plain === null) {
      this.#plain = new AddonSampler(this.#parts.model)
      this.#plain.applyConfig({ temperature: 0, seed: 0 })
    }
    const [highest, , , logits, weight] = await this.#context.sampleToken(
      index, this.#plain, false, false, [[token], false, false, true, 0], true
    )
    const logitOf = new Map(pairs(logits))
    const highestLogit = logitOf.get(highest)
    const chosenLogit = logitOf.get(token)
    if (highestLogit === undefined || chosenLogit === undefined || weight === undefined) {
      throw new ServerError('engine_error', 'The log-probabilities of a token could not be read')
    }
    const normalizer = highestLogit + Math.log(weight)
    const top = topCount === 0
      ? []
      : (await this.#topLogits(index, topCount)).map(([candidate, logit]): TokenCandidate => ({ token: candidate, logprob: logit - normalizer }))
    return { token, logprob: chosenLogit - normalizer, top }
  }

  async #topLogits (index: LogitIndex, count: number): Promise<[number, number][]> {
    this.#top ??= new this.#parts.bindings.AddonSampler(this.#parts.model)
    this.#top.applyConfig({ temperature: 1, topK: count, seed: 1 })
    const [, , , logits] = await this.#context.sampleToken(index, this.#top, false, false, [[], false, false, false, count], false)
    return pairs(logits).slice(0, count)
  }
}

function pairs (flat: readonly number[] = []): [number, number][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as number, flat[2 * at + 1] as number])
}
