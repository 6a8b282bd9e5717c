import { z } from 'zod'

const reasoningLimitSchema = z.strictObject({
  /** 0 closes it at once. */
  tokens: z.int().min(0),
  /** With what an answer begins that reasons; null where the prompt has opened the reasoning. */
  open: z.string().min(1).max(64).nullable(),
  close: z.string().min(1).max(64)
})

/**
 * How tokens are drawn from a model's distribution. The schema is the type; every member has a value, so that the engine
 * never guesses a default. Ranges are those of OpenAI's API reference where it has the option, else of llama.cpp.
 *
 * A draw depends on `seed` and the position of the token alone, never on slot, batch or what else runs.
 */
export const samplingSchema = z.strictObject({
  /** 0 is greedy. */
  temperature: z.number().min(0).max(2).default(1),
  /** Nucleus sampling: the smallest set of tokens whose probabilities add up to this. */
  topP: z.number().min(0).max(1).default(1),
  /** The most likely tokens that are kept; 0 keeps all. */
  topK: z.int().min(0).default(0),
  /** Tokens less likely than this share of the most likely one are dropped; 0 drops none. */
  minP: z.number().min(0).max(1).default(0),
  /** Subtracted from the logit of every token that the answer already holds. */
  presencePenalty: z.number().min(-2).max(2).default(0),
  /** Subtracted from the logit of a token once per occurrence in the answer. */
  frequencyPenalty: z.number().min(-2).max(2).default(0),
  /** Divides (or multiplies, below zero) the logits of recent tokens of prompt and answer; 1 is off. */
  repeatPenalty: z.number().min(0.01).max(10).default(1),
  /** How many recent tokens the repeat penalty looks at; -1 is the whole context. */
  repeatLastN: z.int().min(-1).default(64),
  /** DRY ("don't repeat yourself"): strength of the penalty on extending a repetition; 0 is off. */
  dryMultiplier: z.number().min(0).default(0),
  dryBase: z.number().min(1).default(1.75),
  /** Repetitions up to this many tokens are free. */
  dryAllowedLength: z.int().min(1).default(2),
  /** How many recent tokens DRY looks at; -1 is the whole context, 0 is off. */
  dryPenaltyLastN: z.int().min(-1).default(-1),
  /** Strings that end a repetition. */
  drySequenceBreakers: z.array(z.string().min(1).max(64)).max(32).default(['\n', ':', '"', '*']),
  /** XTC ("exclude top choices"): chance that all but the least likely token above the threshold are dropped; 0 is off. */
  xtcProbability: z.number().min(0).max(1).default(0),
  xtcThreshold: z.number().min(0).max(1).default(0.1),
  /** Added to the logits of these tokens, as [token, bias]; -100 bans a token, 100 forces it. */
  logitBias: z.array(z.tuple([z.int().min(0), z.number().min(-100).max(100)])).max(1024).default([]),
  /** Unsigned 32-bit. */
  seed: z.int().min(0).max(0xffff_ffff),
  /** How many alternatives to report per token with their log-probabilities; null reports none, 0 only the token's own. */
  logprobs: z.int().min(0).max(20).nullable().default(null),
  /** End-of-generation tokens cannot be drawn before this many tokens. */
  minTokens: z.int().min(0).default(0),
  /** End-of-generation tokens do not end the answer; they are never drawn. */
  ignoreEos: z.boolean().default(false),
  /** GBNF grammar that the answer follows; null is none. Those that schemas become are longer than what people write. */
  grammar: z.string().min(1).max(262_144).nullable().default(null),
  /** When reasoning has had so many tokens, what closes it comes next; null leaves that to the model. */
  reasoningLimit: reasoningLimitSchema.nullable().default(null),
  /** The grammar counts from the first place on where the answer holds this text; null is from its beginning. */
  grammarTrigger: z.string().min(1).max(256).nullable().default(null)
})

export type ReasoningLimit = Readonly<z.infer<typeof reasoningLimitSchema>>

export type Sampling = Readonly<z.infer<typeof samplingSchema>>

/** Sampling with every default, for a seed: what a request without options gets. */
export const defaultSampling = (seed: number): Sampling => samplingSchema.parse({ seed })

/** Greedy sampling: the most likely token, always. The seed is without effect. */
export const greedySampling: Sampling = samplingSchema.parse({ temperature: 0, seed: 0 })

/** A candidate for a position, with the natural logarithm of its probability before any sampling option is applied. */
export interface TokenCandidate {
  readonly token: number
  readonly logprob: number
}

/** The chosen token's log-probability and those of the most likely candidates, most likely first. */
export interface TokenLogprob extends TokenCandidate {
  readonly top: readonly TokenCandidate[]
}
