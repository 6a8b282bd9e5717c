import type { Token } from '../../domain/ids.ts'
import type { Sampling } from '../../domain/sampling.ts'
import { mixSeed } from '../../domain/seed.ts'
import { dryPenalties } from './dry-penalty.ts'
import type { BreakerTails } from './dry-penalty.ts'
import type { NativeGrammarState, NativeSamplerConfig } from './native.ts'

/** Everything that decides one draw, apart from the logits. */
export interface Draw {
  readonly sampling: Sampling
  /** How many tokens of the answer were drawn before. */
  readonly index: number
  /** Prompt and answer so far. */
  readonly history: readonly Token[]
  /** How often each token occurs in the answer so far. */
  readonly answerCounts: ReadonlyMap<number, number>
  readonly breakers: BreakerTails
  readonly grammar: NativeGrammarState | null
  readonly endTokens: readonly Token[]
}

/** What one draw's options come to: the native sampler's settings, and what is added to logits. */
interface DrawDraft {
  readonly config: NativeSamplerConfig
  readonly biases: Map<number, number>
}

/** Below this the logits divided by it overflow; the draw is greedy long before. */
const leastTemperature = 1e-6
/** llama.cpp takes this seed for "a random one". */
const randomSeed = 0xffff_ffff

const isGreedy = (sampling: Sampling): boolean => sampling.temperature < leastTemperature

function addBias ({ biases }: DrawDraft, token: number, bias: number): void {
  biases.set(token, (biases.get(token) ?? 0) + bias)
}

function banEndTokens (draft: DrawDraft, { endTokens }: Draw): void {
  for (const token of endTokens) addBias(draft, token, -Infinity)
}

/** The member is read where the named one is mapped. */
const readWith = (_member: keyof Sampling) => (): void => {}

/**
 * How each member of `Sampling` reaches llama.cpp: one entry per member, so that a new option must be mapped to compile.
 *
 * Presence and frequency penalties, DRY, bans and `logitBias` are all additions to single logits that follow from the
 * tokens, so they are added up here and given as one bias list. llama.cpp has one token window for all three penalties,
 * while presence and frequency count the answer and the repeat penalty counts prompt and answer; and the bindings show
 * their DRY sampler drawn tokens only. It also leaves the native sampler without a memory: a sequence that moves to
 * another slot draws the same tokens. Additions come before the repeat penalty's factor (llama.cpp
 * has `logit_bias` there, and the others after it).
 */
const samplerFields: {
  readonly [Member in keyof Sampling]: (draft: DrawDraft, value: Sampling[Member], draw: Draw) => void
} = {
  temperature: (draft, temperature) => {
    draft.config.temperature = temperature < leastTemperature ? 0 : temperature
  },
  topP: (draft, topP) => { draft.config.topP = topP },
  topK: (draft, topK) => {
    if (topK > 0) draft.config.topK = Math.min(topK, 0x7fff_ffff)
  },
  minP: (draft, minP) => { draft.config.minP = minP },
  presencePenalty: (draft, penalty, { answerCounts }) => {
    if (penalty === 0) return
    for (const token of answerCounts.keys()) addBias(draft, token, -penalty)
  },
  frequencyPenalty: (draft, penalty, { answerCounts }) => {
    if (penalty === 0) return
    for (const [token, count] of answerCounts) addBias(draft, token, -penalty * count)
  },
  repeatPenalty: (draft, penalty, { sampling, history }) => {
    const window = sampling.repeatLastN < 0 ? history.length : Math.min(sampling.repeatLastN, history.length)
    if (penalty === 1 || window === 0) return
    draft.config.repeatPenalty = penalty
    draft.config.repeatPenaltyTokens = Uint32Array.from(history.slice(history.length - window))
    // A window of fixed length where there is one: llama.cpp then takes the drawn token up instead of starting anew.
    // Two rings of that size are filled at once, so it follows the history in powers of two.
    const room = Math.max(64, 2 ** Math.ceil(Math.log2(window)))
    draft.config.repeatPenaltyMaxTokens = sampling.repeatLastN < 0 ? room : Math.min(sampling.repeatLastN, room)
  },
  repeatLastN: readWith('repeatPenalty'),
  dryMultiplier: (draft, multiplier, { sampling, history, breakers }) => {
    if (multiplier === 0) return
    const penalties = dryPenalties(history, {
      multiplier,
      base: sampling.dryBase,
      allowedLength: sampling.dryAllowedLength,
      lastTokens: sampling.dryPenaltyLastN,
      breakers
    })
    for (const [token, penalty] of penalties) addBias(draft, token, -penalty)
  },
  dryBase: readWith('dryMultiplier'),
  dryAllowedLength: readWith('dryMultiplier'),
  dryPenaltyLastN: readWith('dryMultiplier'),
  drySequenceBreakers: readWith('dryMultiplier'),
  xtcProbability: (draft, probability, { sampling }) => {
    if (probability === 0) return
    draft.config.xtcProbability = probability
    draft.config.xtcThreshold = sampling.xtcThreshold
  },
  xtcThreshold: readWith('xtcProbability'),
  logitBias: (draft, pairs) => {
    for (const [token, bias] of pairs) addBias(draft, token, bias <= -100 ? -Infinity : bias)
  },
  seed: (draft, seed, { sampling, index }) => {
    // A greedy draw throws no dice; one seed for all of them spares the native side a new generator per token.
    const isDeterministic = isGreedy(sampling) && sampling.xtcProbability === 0
    const mixed = isDeterministic ? 0 : mixSeed(seed, index)
    draft.config.seed = mixed === randomSeed ? randomSeed - 1 : mixed
  },
  // Log-probabilities are taken from the untouched logits, with samplers of their own.
  logprobs: () => {},
  minTokens: (draft, minTokens, draw) => {
    if (draw.index < minTokens) banEndTokens(draft, draw)
  },
  ignoreEos: (draft, ignoreEos, draw) => {
    if (ignoreEos) banEndTokens(draft, draw)
  },
  grammar: (draft, _text, { grammar }) => {
    if (grammar !== null) draft.config.grammarEvaluationState = grammar
  },
  grammarTrigger: readWith('grammar'),
  // A token that it demands is not drawn at all.
  reasoningLimit: () => {}
}

const members = Object.keys(samplerFields) as (keyof Sampling)[]

function mapMember<Member extends keyof Sampling> (draft: DrawDraft, member: Member, draw: Draw): void {
  samplerFields[member](draft, draw.sampling[member], draw)
}

/** Whether the options forbid all end tokens for this draw. */
export const bansEndTokens = ({ sampling, index }: Pick<Draw, 'sampling' | 'index'>): boolean =>
  sampling.ignoreEos || index < sampling.minTokens

/** The native sampler's settings for one draw. */
export function samplerConfig (draw: Draw): NativeSamplerConfig {
  const draft: DrawDraft = { config: {}, biases: new Map() }
  for (const member of members) mapMember(draft, member, draw)
  if (draft.biases.size > 0) {
    draft.config.tokenBiasKeys = Uint32Array.from(draft.biases.keys())
    draft.config.tokenBiasValues = Float32Array.from(draft.biases.values())
  }
  return draft.config
}
