import { z } from 'zod'
import type { Sampling } from '../../domain/sampling.ts'
import { samplingSchema } from '../../domain/sampling.ts'
import { mixSeed } from '../../domain/seed.ts'
import { boundedRecord } from './bounded-record.ts'
import { outputFormatMembers } from './output-format.ts'
import { orText, wireForms, withKeywords } from './wire-form.ts'

/** Most choices of a prompt, and most choices of a request with several prompts. */
export const maxChoicesPerPrompt = 32
export const maxChoices = 128

const maxStopTexts = 16

/** What the largest integer of 64 bits is as a number of JavaScript's. */
const maxSeed = 2 ** 63

const { shape } = samplingSchema

/** `{"50256": -100}`: a token's number to its bias. */
const logitBiasSchema = boundedRecord(z.number().min(-100).max(100), 1024, 'tokens')
  .refine((bias) => Object.keys(bias).every((key) => /^\d{1,9}$/.test(key)), 'expected numbers of tokens as its keys')
  .transform((bias) => Object.entries(bias).map(([token, value]): [number, number] => [Number(token), value]))
  .register(wireForms, { form: withKeywords({ propertyNames: { pattern: '^[0-9]{1,9}$' } }) })

const stopSchema = z.preprocess(
  (value) => typeof value === 'string' ? [value] : value,
  z.array(z.string().min(1).max(1024)).max(maxStopTexts).default([])
).register(wireForms, { form: orText({ minLength: 1, maxLength: 1024 }) })

/** Members of a request that say how to draw tokens and when to stop; the same for both completion endpoints. */
export const samplingMembers = {
  temperature: shape.temperature,
  top_p: shape.topP,
  // Some clients switch it off with -1.
  top_k: z.int().min(-1).default(0),
  min_p: shape.minP,
  presence_penalty: shape.presencePenalty,
  frequency_penalty: shape.frequencyPenalty,
  repeat_penalty: shape.repeatPenalty.unwrap().optional(),
  repetition_penalty: shape.repeatPenalty.unwrap().optional(),
  repeat_last_n: shape.repeatLastN,
  dry_multiplier: shape.dryMultiplier,
  dry_base: shape.dryBase,
  dry_allowed_length: shape.dryAllowedLength,
  dry_penalty_last_n: shape.dryPenaltyLastN,
  dry_sequence_breakers: shape.drySequenceBreakers,
  xtc_probability: shape.xtcProbability,
  xtc_threshold: shape.xtcThreshold,
  logit_bias: logitBiasSchema.default([]),
  seed: z.number().refine(Number.isInteger, 'expected an integer').refine((seed) => Math.abs(seed) <= maxSeed, 'expected an integer of 64 bits')
    .register(wireForms, { form: withKeywords({ type: 'integer', minimum: -maxSeed, maximum: maxSeed }) }).optional(),
  min_tokens: shape.minTokens,
  ignore_eos: shape.ignoreEos,
  grammar: z.string().min(1).max(65_536).nullable().default(null),
  ...outputFormatMembers,
  stop: stopSchema,
  n: z.int().min(1).max(maxChoicesPerPrompt).default(1),
  stream: z.boolean().default(false),
  stream_options: z.strictObject({
    include_usage: z.boolean().nullish(),
    /** Usage so far in every chunk, as vLLM has it. */
    continuous_usage_stats: z.boolean().nullish(),
    include_obfuscation: z.literal(false).nullish()
  }).optional()
}

export type SamplingRequest = z.output<z.ZodObject<typeof samplingMembers>>

/** Any integer as 32 bits: those that fit stay as they are, the others are mixed down. */
export function seedFromInteger (seed: number): number {
  if (seed >= 0 && seed <= 0xffff_ffff) return seed
  const bits = BigInt.asUintN(64, BigInt(seed))
  return mixSeed(Number(bits & 0xffff_ffffn), Number(bits >> 32n))
}

/**
 * @param grammar what the answer follows; null for none
 * @param logprobs how many alternatives to report per token; null reports none
 * @param randomSeed for requests without a seed
 */
export function toSampling (
  request: SamplingRequest, grammar: string | null, logprobs: number | null, randomSeed: () => number
): Sampling {
  return {
    temperature: request.temperature,
    topP: request.top_p,
    topK: Math.max(0, request.top_k),
    minP: request.min_p,
    presencePenalty: request.presence_penalty,
    frequencyPenalty: request.frequency_penalty,
    repeatPenalty: request.repeat_penalty ?? request.repetition_penalty ?? 1,
    repeatLastN: request.repeat_last_n,
    dryMultiplier: request.dry_multiplier,
    dryBase: request.dry_base,
    dryAllowedLength: request.dry_allowed_length,
    dryPenaltyLastN: request.dry_penalty_last_n,
    drySequenceBreakers: request.dry_sequence_breakers,
    xtcProbability: request.xtc_probability,
    xtcThreshold: request.xtc_threshold,
    logitBias: request.logit_bias,
    // As vLLM and llama-server have it, -1 asks for a random seed.
    seed: request.seed === undefined || request.seed === -1 ? randomSeed() : seedFromInteger(request.seed),
    logprobs,
    minTokens: request.min_tokens,
    ignoreEos: request.ignore_eos,
    grammar,
    grammarTrigger: null,
    reasoningLimit: null
  }
}
