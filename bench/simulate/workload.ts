import { baseAdapterSet, createAdapterSet, type AdapterSet } from '../../src/domain/adapter-set.ts'
import { asTenantId, asToken, type Millis, type TenantId, type Token } from '../../src/domain/ids.ts'
import type { Priority } from '../../src/domain/priority.ts'
import { Random } from '../../src/domain/random.ts'

export interface WorkloadOptions {
  readonly requests: number
  readonly seed: number
  /** Requests per second of virtual time; they arrive at random (a Poisson process). */
  readonly rate: number
  /** Mean length of a prompt's own part, in tokens. */
  readonly promptTokens: number
  /** How many different system prompts there are, and their mean length. A request begins with one of them. */
  readonly systemPrompts: number
  readonly systemTokens: number
  /** Mean length of an answer. */
  readonly answerTokens: number
  /** Adapters, beside the base model. */
  readonly adapters: number
  readonly tenants: number
  /** Standard deviation of the logarithm of lengths. */
  readonly lengthSpread: number
  /** Mean number of requests that arrive at once. */
  readonly burstSize: number
  /** Share of requests (0 to 1) of one more tenant, which is called {@link floodTenant}. */
  readonly floodShare: number
  /** Share of requests (0 to 1) that are batch work. */
  readonly batchShare: number
  /** Share of requests (0 to 1) that ask for two to four choices. */
  readonly choicesShare: number
  /** Share of requests (0 to 1) whose client leaves before the end. */
  readonly abortShare: number
  readonly contextSize: number
}

export interface SimulatedRequest {
  readonly number: number
  readonly arrivalMs: Millis
  readonly tenant: TenantId
  readonly priority: Priority
  readonly adapters: AdapterSet
  readonly prompt: readonly Token[]
  /** One per choice: how many tokens it has, the end token included. */
  readonly answerTokens: readonly number[]
  /** How long after its arrival the client leaves; null stays to the end. */
  readonly leavesAfterMs: Millis | null
}

/** Sizes of the model that the simulator pretends to have. */
export const vocabularySize = 32_000
export const endToken = asToken(2)
/** Tokens below this are never part of a text. */
const firstTextToken = 3

export const textToken = (bits: number): Token => asToken(firstTextToken + (bits >>> 0) % (vocabularySize - firstTextToken))

export const floodTenant = asTenantId('flood')

export const adapterSets = (count: number): readonly AdapterSet[] => [
  baseAdapterSet,
  ...Array.from({ length: count }, (_, index) =>
    createAdapterSet([{ name: `adapter-${index + 1}`, generation: 1, scale: 1 }]))
]

/** Requests in order of arrival; the same options give the same ones. */
export function * createWorkload (options: WorkloadOptions): Generator<SimulatedRequest> {
  const { contextSize, lengthSpread, burstSize } = options
  const random = new Random(options.seed)
  const arrivals = random.fork(1)
  const systemPrompts = Array.from({ length: options.systemPrompts }, (_, index) => {
    const own = random.fork(1000 + index)
    return textTokens(own, clamp(own.logNormal(options.systemTokens, 0.3), 1, contextSize / 2))
  })
  const sets = adapterSets(options.adapters)
  let arrivalMs = 0
  for (let number = 0; number < options.requests; number++) {
    // A burst goes on with each request at the same chance, so that its mean is what is wanted; gaps are longer by as much.
    if (burstSize === 1 || number === 0 || arrivals.uniform() < 1 / burstSize) arrivalMs += arrivals.exponential(1000 * burstSize / options.rate)
    const own = random.fork(1_000_000 + number)
    const system = systemPrompts.length === 0 ? [] : systemPrompts[own.zipf(systemPrompts.length)]!
    const longest = contextSize - system.length - 2
    const prompt = [...system, ...textTokens(own, clamp(own.logNormal(options.promptTokens, lengthSpread), 1, longest))]
    const choices = own.uniform() < options.choicesShare ? 2 + own.below(3) : 1
    const room = contextSize - prompt.length
    const answerTokens = Array.from({ length: choices }, () =>
      clamp(own.logNormal(options.answerTokens, lengthSpread), 1, room))
    // From another stream than lengths: these shall be the same with a flood and without.
    const kinds = random.fork(2_000_000_000 + number)
    const isFlood = options.floodShare > 0 && kinds.uniform() < options.floodShare
    const tenant = isFlood ? floodTenant : asTenantId(`tenant-${own.zipf(options.tenants)}`)
    yield {
      number,
      arrivalMs,
      tenant,
      priority: options.batchShare > 0 && kinds.uniform() < options.batchShare ? 'batch' : 'normal',
      adapters: sets[own.zipf(sets.length)]!,
      prompt,
      answerTokens,
      leavesAfterMs: own.uniform() < options.abortShare ? own.exponential(500) : null
    }
  }
}

function textTokens (random: Random, length: number): Token[] {
  const tokens: Token[] = []
  for (let index = 0; index < length; index++) tokens.push(textToken(random.bits()))
  return tokens
}

const clamp = (value: number, min: number, max: number): number =>
  Math.max(min, Math.min(Math.floor(max), Math.round(value)))
