import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { admissionPolicyNames } from '../../src/scheduler/policies/admission.ts'
import { decodeDuration, describeCosts, type CostFit } from '../engine/step-costs.ts'
import type { SimulationOptions } from './simulation.ts'

/** The command line is wrong; the message names the flag. */
export class UsageError extends Error {
  constructor (message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

interface NumberFlag {
  readonly description: string
  readonly value: number
  readonly min: number
  readonly max: number
  readonly isWhole: boolean
}

const whole = (value: number, min: number, max: number, description: string): NumberFlag =>
  ({ value, min, max, description, isWhole: true })
const real = (value: number, min: number, max: number, description: string): NumberFlag =>
  ({ value, min, max, description, isWhole: false })

const longestMs = 24 * 60 * 60 * 1000

const numberFlags = {
  requests: whole(10_000, 1, 100_000_000, 'requests to simulate'),
  seed: whole(1, 0, 0xffff_ffff, 'the same seed gives the same run'),
  load: real(0.8, 0.01, 100, 'arrivals as a share of what the lanes can do, estimated from the costs; --rate overrides it'),

  slots: whole(8, 1, 4096, 'concurrent sequences over all lanes'),
  lanes: whole(1, 1, 64, 'lanes that step in parallel; they share out the slots'),
  threads: whole(8, 1, 512, 'threads, shared out among the lanes'),
  'context-size': whole(4096, 16, 1_000_000, 'tokens a slot holds'),
  'step-tokens': whole(512, 1, 16_384, 'token budget of one step'),
  'max-queue': whole(256, 1, 1_000_000, 'sequences that may wait for a slot'),
  'turn-steps': whole(16, 1, 100_000, 'steps an adapter set keeps its lane while others wait'),
  'queue-timeout': whole(60_000, 1, longestMs, 'longest wait for a slot, in ms'),
  speculate: whole(0, 0, 15, 'most tokens that are guessed ahead for a sequence in a step'),
  'request-timeout': whole(600_000, 1, longestMs, 'longest time in all, in ms'),

  'prompt-tokens': real(80, 1, 1_000_000, "mean length of a prompt's own part (log-normal)"),
  'system-prompts': whole(8, 0, 10_000, 'different system prompts that requests begin with, some much more often (Zipf)'),
  'system-tokens': real(200, 1, 1_000_000, 'mean length of a system prompt'),
  'answer-tokens': real(64, 1, 1_000_000, 'mean length of an answer (log-normal)'),
  adapters: whole(0, 0, 1000, 'adapters beside the base model, some much more often used (Zipf)'),
  'length-spread': real(0.8, 0, 3, 'how much lengths vary: the standard deviation of their logarithm'),
  'burst-size': real(1, 1, 100_000, 'mean number of requests that arrive at once'),
  'flood-share': real(0, 0, 0.99, 'share of requests that one more tenant makes, told apart in the report'),
  'batch-share': real(0, 0, 1, 'share of requests that are batch work'),
  tenants: whole(10, 1, 100_000, 'tenants, some much busier (Zipf)'),
  'choices-share': real(0.05, 0, 1, 'share of requests that ask for two to four choices'),
  'quote-share': real(0, 0, 1, "share of the answers' tokens that repeat what stood 40 tokens before"),
  'abort-share': real(0.02, 0, 1, 'share of requests whose client leaves early'),

  'step-ms': real(5, 0.001, 60_000, 'cost of a step'),
  'decode-ms': real(0.5, 0, 60_000, 'cost per sequence that decodes in it'),
  'prefill-ms': real(0.05, 0, 60_000, 'cost per prompt token in it'),
  'switch-ms': real(1, 0, 60_000, 'cost of a change of adapters')
} satisfies Record<string, NumberFlag>

type NumberFlagName = keyof typeof numberFlags

export interface CommandLine {
  readonly simulation: SimulationOptions
  /** Where the event log goes; null keeps only its hash. */
  readonly logPath: string | null
  /** How far the measured steps are from the costs, where those were measured. */
  readonly costNote: string | null
}

/**
 * @returns null when help was asked for
 * @throws UsageError
 */
export function parseCommandLine (parameters: readonly string[]): CommandLine | null {
  const names = Object.keys(numberFlags) as NumberFlagName[]
  let values: Record<string, string | boolean | undefined>
  try {
    values = parseArgs({
      args: [...parameters],
      options: {
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
        rate: { type: 'string' },
        policy: { type: 'string' },
        'target-itl': { type: 'string' },
        costs: { type: 'string' },
        log: { type: 'string' },
        help: { type: 'boolean', short: 'h' }
      }
    }).values
  } catch (error) {
    // Node's message names the flag; what follows the first sentence is advice on `--`.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]!)
  }
  if (values['help'] === true) return null
  const text = (name: string): string | undefined => values[name] as string | undefined
  const number = (name: NumberFlagName): number => parseNumber(name, text(name), numberFlags[name])

  const policyName = text('policy') ?? 'fair'
  const policy = admissionPolicyNames.find((known) => known === policyName)
  if (policy === undefined) throw new UsageError(`--policy ${policyName} is not known; there is: ${admissionPolicyNames.join(', ')}`)
  const laneCount = number('lanes')
  const slots = number('slots')
  if (slots % laneCount !== 0) throw new UsageError(`--slots ${slots} cannot be shared out evenly among --lanes ${laneCount}`)
  const slotsPerLane = slots / laneCount
  if (number('step-tokens') < slotsPerLane) {
    throw new UsageError(`--step-tokens ${number('step-tokens')} is less than the ${slotsPerLane} slots of a lane`)
  }
  if (number('threads') < laneCount) {
    throw new UsageError(`--threads ${number('threads')} is less than one for each of --lanes ${laneCount}`)
  }
  const costs = readCosts(text('costs'))
  if (costs !== null) {
    for (const flag of ['step-ms', 'decode-ms', 'prefill-ms']) {
      if (text(flag) !== undefined) throw new UsageError(`--${flag} and --costs exclude each other`)
    }
  }
  const options = {
    requests: number('requests'),
    seed: number('seed'),
    laneCount,
    slotsPerLane,
    threads: number('threads'),
    contextSize: number('context-size'),
    stepTokens: number('step-tokens'),
    maxQueue: number('max-queue'),
    turnSteps: number('turn-steps'),
    policy,
    mostGuesses: number('speculate'),
    targetItlMs: text('target-itl') === undefined ? 'auto' as const : parseNumber('target-itl', text('target-itl'), real(100, 0.001, 60_000, '')),
    queueTimeoutMs: number('queue-timeout'),
    requestTimeoutMs: number('request-timeout'),
    promptTokens: number('prompt-tokens'),
    systemPrompts: number('system-prompts'),
    systemTokens: number('system-tokens'),
    answerTokens: number('answer-tokens'),
    adapters: number('adapters'),
    tenants: number('tenants'),
    lengthSpread: number('length-spread'),
    burstSize: number('burst-size'),
    floodShare: number('flood-share'),
    batchShare: number('batch-share'),
    choicesShare: number('choices-share'),
    abortShare: number('abort-share'),
    quoteShare: number('quote-share'),
    decodeSteps: costs?.decodeSteps ?? null,
    stepMs: costs?.stepMs ?? number('step-ms'),
    decodeTokenMs: number('decode-ms'),
    prefillTokenMs: costs?.prefillTokenMs ?? number('prefill-ms'),
    adapterSwitchMs: number('switch-ms')
  }
  const rate = text('rate') === undefined
    ? number('load') * estimateCapacity(options)
    : parseNumber('rate', text('rate'), real(1, 0.001, 1e9, ''))
  return {
    simulation: { ...options, rate },
    logPath: text('log') ?? null,
    costNote: costs === null ? null : describeCosts(costs)
  }
}

const costsSchema = z.object({
  drawbridge_costs: z.literal(1),
  decodeSteps: z.array(z.tuple([z.int().min(1), z.number().min(0.0001)])).min(1),
  stepMs: z.number().min(0),
  prefillTokenMs: z.number().min(0),
  meanError: z.number(),
  worstError: z.number()
})

function readCosts (file: string | undefined): CostFit | null {
  if (file === undefined) return null
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`--costs ${file} cannot be read: ${(error as Error).message}`)
  }
  const result = costsSchema.safeParse(content)
  if (!result.success) throw new UsageError(`--costs ${file} was not written by npm run bench:engine -- --costs FILE`)
  return result.data
}

export function helpText (): string {
  const lines = Object.entries<NumberFlag>(numberFlags).map(([name, flag]) => row(name, 'N', `${flag.description} (${flag.value})`))
  return `Runs the scheduler in virtual time over a made-up workload, checks its laws on every plan, and reports what
users would have felt. The same flags always give the same run, down to the hash of its event log.

  npm run simulate -- --requests 100000 --seed 1 --slots 8

Lengths are in tokens, costs and times in milliseconds of virtual time. Defaults are in brackets.

${lines.join('\n')}
${row('rate', 'N', 'requests per second, arriving at random; by default as --load says')}
${row('policy', 'NAME', `who is served next: ${admissionPolicyNames.join(', ')} (fair)`)}
${row('target-itl', 'N', 'how long a step may take while streams flow, in ms (auto: 100, or nine times a decode)')}
${row('costs', 'FILE', 'costs that npm run bench:engine -- --costs FILE has measured')}
${row('log', 'FILE', 'write every arrival, plan and event, one line each; compare two runs with diff')}
  --help                 this text
`
}

const row = (name: string, value: string, description: string): string =>
  `  ${`--${name} ${value}`.padEnd(22)} ${description}`

function parseNumber (name: string, given: string | undefined, flag: NumberFlag): number {
  if (given === undefined) return flag.value
  const value = Number(given)
  const kind = flag.isWhole ? 'whole number' : 'number'
  if (given.trim() === '' || !Number.isFinite(value) || (flag.isWhole && !Number.isInteger(value)) ||
    value < flag.min || value > flag.max) {
    throw new UsageError(`--${name} takes a ${kind} from ${flag.min} to ${flag.max}, not '${given}'`)
  }
  return value
}

/** Requests per second that keep all slots busy, if a system prompt is nearly always found in a cache. */
function estimateCapacity (options: Omit<SimulationOptions, 'rate'>): number {
  const { answerTokens, choicesShare, decodeSteps, decodeTokenMs, laneCount, prefillTokenMs, promptTokens, slotsPerLane, stepMs } = options
  const choices = 1 + choicesShare * 2
  const fullStepMs = decodeSteps === null ? stepMs + decodeTokenMs * slotsPerLane : decodeDuration(decodeSteps, stepMs, slotsPerLane)
  const decodeMs = choices * answerTokens * fullStepMs / slotsPerLane
  return 1000 * laneCount / (decodeMs + promptTokens * prefillTokenMs)
}
