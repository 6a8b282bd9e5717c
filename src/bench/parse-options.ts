import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { didYouMean } from '../config/suggest.ts'
import { parseValue } from '../config/value-kind.ts'
import { StartupError } from '../domain/startup-error.ts'
import type { LoadShape, OpenLoop, RunLimit } from './load/load-shape.ts'
import type { Tenant } from './load/run-load.ts'
import { parseObjectives, type Objectives } from './measure/objectives.ts'
import { benchOptions, type BenchFlag, type BenchOption } from './options.ts'
import { parseLengths, type LengthDistribution } from './workload/length-distribution.ts'
import type { Endpoint } from './workload/made-up.ts'
import { mixNames, type MixName } from './workload/mix.ts'
import { throwIfSeveral } from './workload/one-answer.ts'

export const workloadNames = ['synthetic', 'shared-prefix', 'multi-turn', 'mixed', 'json', 'dataset'] as const

export interface WorkloadOptions {
  readonly name: typeof workloadNames[number]
  readonly inputTokens: LengthDistribution
  readonly outputTokens: LengthDistribution
  readonly prefixTokens: LengthDistribution
  readonly prefixes: number
  readonly turns: number
  readonly thinkMs: number
  readonly longShare: number
  readonly longInputTokens: LengthDistribution
  readonly longOutputTokens: LengthDistribution
  readonly dataset: string | null
  readonly ignoresEnd: boolean
}

export interface ServerOptions {
  /** Ends with the version: `http://127.0.0.1:8080/v1`. */
  readonly url: URL
  readonly label: string
  readonly apiKey: string | null
  readonly model: string | null
}

/** Which loads are run: given ones, or ones that are found by trying. */
export type LoadPlan =
  | { readonly type: 'given', readonly shapes: readonly LoadShape[] }
  | { readonly type: 'auto-concurrency' }
  | { readonly type: 'auto-rate', readonly template: OpenLoop }

export interface BenchOptions {
  readonly servers: readonly ServerOptions[]
  readonly headers: Readonly<Record<string, string>>
  /** Null for the one model of the server. */
  readonly models: readonly string[] | null
  readonly modelMix: MixName
  readonly tenants: readonly Tenant[]
  readonly endpoint: Endpoint
  readonly isStreaming: boolean
  readonly plan: LoadPlan
  /** Null for the default, which depends on the load. */
  readonly limit: RunLimit | null
  readonly warmup: number | null
  readonly repetitions: number
  /** Of lengths and moments. */
  readonly seed: number
  /** Of words: the same as `seed` where that was given, else another one each time. */
  readonly textSeed: number
  readonly workload: WorkloadOptions
  readonly temperature: number
  readonly extraBody: Readonly<Record<string, unknown>>
  /** By name of one of `models`; takes the place of `model` too if it says so. */
  readonly modelBodies: ReadonlyMap<string, Readonly<Record<string, unknown>>>
  readonly objectives: Objectives
  readonly timeoutMs: number
  readonly stallTimeoutMs: number
  readonly jsonFile: string | null
  readonly htmlFile: string | null
  readonly keepsTexts: boolean
}

export type BenchCommand =
  | { readonly type: 'help' }
  | { readonly type: 'compare', readonly files: readonly [string, string], readonly jsonFile: string | null, readonly htmlFile: string | null }
  | { readonly type: 'run', readonly options: BenchOptions }

const mostConcurrency = 10_000
const mostRate = 100_000
const day = 24 * 60 * 60 * 1000

/**
 * Reads the command line after `bench`.
 * @throws StartupError that names the flag, the value and the limit.
 */
export function parseOptions (argv: readonly string[], environment: NodeJS.ProcessEnv): BenchCommand {
  const flags = new Flags(argv)
  if (flags.isOn('help') || flags.words[0] === 'help') return { type: 'help' }
  const jsonFile = flags.text('json')
  const htmlFile = flags.text('html')
  const first = flags.text('compare')
  if (first !== null) {
    const [second, ...more] = flags.words
    if (second === undefined || more.length > 0) throw new StartupError('--compare takes two reports: --compare A.json B.json')
    return { type: 'compare', files: [first, second], jsonFile, htmlFile }
  }
  return { type: 'run', options: readRun(flags, environment, jsonFile, htmlFile) }
}

function readRun (flags: Flags, environment: NodeJS.ProcessEnv, jsonFile: string | null, htmlFile: string | null): BenchOptions {
  const goals = flags.words.filter((word) => /^(ttft|tpot|itl|e2el?):/.test(word))
  const words = flags.words.filter((word) => !goals.includes(word))
  if (goals.length > 0 && flags.all('goodput').length === 0) throw new StartupError(`"${goals[0]}" belongs to no option; objectives are given with --goodput ${goals[0]}`)
  if (words.length > 1) throw new StartupError(`"${words[1]}" belongs to no option (drawbridge bench --help explains)`)
  if (words[0] !== undefined && flags.text('url') !== null) throw new StartupError(`The URL is given twice: ${words[0]} and --url ${flags.text('url')}`)
  const headers = readHeaders(flags.all('header'))
  const hasOwnAuthorization = headers['authorization'] !== undefined
  for (const flag of ['api-key', 'vs-api-key', 'tenant'] as const) {
    if (hasOwnAuthorization && flags.text(flag) !== null) throw new StartupError(`--header authorization and --${flag} exclude each other`)
  }
  // What was said on the command line beats what lies about in the environment.
  const apiKey = flags.text('api-key') ?? (hasOwnAuthorization ? null : environment['OPENAI_API_KEY'] || null)
  const tenants = flags.all('tenant').map((text) => readTenant(text, environment))
  const twice = tenants.find(({ name }, index) => tenants.findIndex((other) => other.name === name) !== index)
  if (twice !== undefined) throw new StartupError(`--tenant ${twice.name} is given twice`)
  if (tenants.length > 0 && flags.text('api-key') !== null) throw new StartupError('--api-key and --tenant exclude each other: each tenant has its key')

  const url = readUrl(words[0] ?? flags.text('url') ?? 'http://127.0.0.1:8080/v1', words[0] === undefined ? '--url' : 'The URL')
  const other = flags.text('vs')
  const servers: ServerOptions[] = [{ url, label: flags.text('label') ?? url.host, apiKey, model: flags.text('model') }]
  if (other !== null) {
    const otherUrl = readUrl(other, '--vs')
    const label = flags.text('vs-label') ?? otherUrl.host
    servers.push({ url: otherUrl, label, apiKey: flags.text('vs-api-key') ?? apiKey, model: flags.text('vs-model') })
    if (servers[0]?.label === label) throw new StartupError(`Both servers are called "${label}"; --label and --vs-label tell them apart`)
  } else {
    for (const flag of ['vs-api-key', 'vs-model', 'vs-label'] as const) {
      if (flags.text(flag) !== null) throw new StartupError(`--${flag} needs --vs URL`)
    }
  }
  const models = flags.text('models')?.split(',').map((name) => name.trim()).filter(Boolean) ?? null
  if (models !== null && flags.text('model') !== null) throw new StartupError('--model and --models exclude each other')
  if (models?.length === 0) throw new StartupError('--models is empty: --models A,B,C')
  if (models !== null && new Set(models).size < models.length) throw new StartupError('--models names a model twice')
  if (models !== null && flags.text('vs-model') !== null) throw new StartupError('--models and --vs-model exclude each other: both servers are asked for the same models')

  const plan = readPlan(flags)
  const workload = readWorkload(flags)
  const endpoint = flags.choice('endpoint', ['chat', 'completions'])
  if (endpoint === 'completions' && workload.name === 'json') throw new StartupError('--workload json needs --endpoint chat')
  const isStreaming = !flags.isOn('no-stream')
  const objectives = parseObjectives([...flags.all('goodput'), ...goals])
  const unmeasured = isStreaming ? undefined : Object.keys(objectives).find((name) => name !== 'e2el')
  if (unmeasured !== undefined) throw new StartupError(`--goodput ${unmeasured} needs streams: with --no-stream nothing is known of an answer before its end, which e2el measures`)
  return {
    servers,
    headers,
    models,
    modelMix: flags.choice('model-mix', mixNames),
    tenants,
    endpoint,
    isStreaming,
    plan,
    limit: readLimit(flags),
    warmup: flags.text('warmup') === null ? null : flags.integer('warmup', 0, 0, mostConcurrency),
    repetitions: flags.integer('repetitions', other === null ? 1 : 3, 1, 100),
    seed: flags.integer('seed', 1, 0, 0xffff_ffff),
    textSeed: flags.integer('seed', randomInt(0x1_0000_0000), 0, 0xffff_ffff),
    workload,
    temperature: flags.number('temperature', 0, 0, 2),
    extraBody: readBody(flags.text('extra-body'), '--extra-body'),
    modelBodies: readModelBodies(flags.all('model-body'), models),
    objectives,
    timeoutMs: flags.duration('timeout', 600_000, 1, day),
    stallTimeoutMs: flags.duration('stall-timeout', 60_000, 1, day),
    jsonFile,
    htmlFile,
    keepsTexts: flags.isOn('save-texts')
  }
}

function readPlan (flags: Flags): LoadPlan {
  const rate = flags.text('rate')
  const concurrency = flags.text('concurrency')
  if (rate !== null && concurrency !== null) throw new StartupError('--rate and --concurrency exclude each other; --max-concurrency limits a rate')
  if (rate === null) {
    for (const flag of ['burstiness', 'ramp', 'max-concurrency'] as const) {
      if (flags.text(flag) !== null) throw new StartupError(`--${flag} needs --rate`)
    }
    if (concurrency === 'auto') return { type: 'auto-concurrency' }
    const values = flags.integers('concurrency', [8], 1, mostConcurrency)
    return { type: 'given', shapes: values.map((value) => ({ type: 'closed', concurrency: value })) }
  }
  const burstiness = flags.text('burstiness') === 'inf' ? Infinity : flags.number('burstiness', 1, 0.01, 1000)
  const maxConcurrency = flags.text('max-concurrency') === null ? null : flags.integer('max-concurrency', 1, 1, mostConcurrency)
  const template = { type: 'open', rate: Infinity, burstiness, maxConcurrency, ramp: readRamp(flags.text('ramp')) } as const
  if (rate === 'auto') {
    if (template.ramp !== null) throw new StartupError('--ramp needs one --rate to end at, not auto')
    return { type: 'auto-rate', template }
  }
  const values = rate.split(',').map((part) => part.trim() === 'inf' ? Infinity : flags.parseNumber('rate', part.trim(), 0.001, mostRate, false))
  if (values.includes(Infinity) && flags.text('duration') !== null) throw new StartupError('--rate inf sends everything at once, so a run ends after --requests, not after a --duration')
  if (template.ramp !== null && (values.length > 1 || values[0] === Infinity)) throw new StartupError(`--ramp needs one --rate to end at, not ${rate}`)
  return { type: 'given', shapes: values.map((value) => ({ ...template, rate: value })) }
}

function readRamp (text: string | null): OpenLoop['ramp'] {
  if (text === null) return null
  const [, form, from] = /^(linear|exponential):(\d{1,6}(?:\.\d{1,4})?)$/.exec(text) ?? []
  if (form === undefined || !(Number(from) >= 0.001)) throw new StartupError(`--ramp is "${text}", but must be like linear:1 or exponential:0.5, from 0.001/s`)
  return { form: form as 'linear' | 'exponential', from: Number(from) }
}

function readLimit (flags: Flags): RunLimit | null {
  if (flags.text('requests') !== null && flags.text('duration') !== null) throw new StartupError('--requests and --duration exclude each other')
  if (flags.text('duration') !== null) return { type: 'duration', ms: flags.duration('duration', 0, 100, day) }
  return flags.text('requests') === null ? null : { type: 'requests', count: flags.integer('requests', 1, 1, 10_000_000) }
}

/** Flags that mean something for one workload only. */
const ownFlags: Partial<Record<BenchFlag, WorkloadOptions['name']>> = {
  'prefix-tokens': 'shared-prefix',
  prefixes: 'shared-prefix',
  turns: 'multi-turn',
  'think-time': 'multi-turn',
  'long-share': 'mixed',
  'long-input-tokens': 'mixed',
  'long-output-tokens': 'mixed',
  dataset: 'dataset'
}

function readWorkload (flags: Flags): WorkloadOptions {
  const dataset = flags.text('dataset')
  const name = dataset !== null && flags.text('workload') === null ? 'dataset' : flags.choice('workload', workloadNames)
  if (name === 'dataset' && dataset === null) throw new StartupError('--workload dataset needs --dataset FILE')
  for (const [flag, owner] of Object.entries(ownFlags)) {
    if (flags.text(flag as BenchFlag) !== null && owner !== name) throw new StartupError(`--${flag} has no effect on --workload ${name}; it belongs to ${owner}`)
  }
  const lengths = (flag: BenchFlag, fallback: string): LengthDistribution => parseLengths(flags.text(flag) ?? fallback, `--${flag}`)
  return {
    name,
    inputTokens: lengths('input-tokens', '128'),
    outputTokens: lengths('output-tokens', '64'),
    prefixTokens: lengths('prefix-tokens', '512'),
    prefixes: flags.integer('prefixes', 4, 1, 10_000),
    turns: flags.integer('turns', 4, 1, 1000),
    thinkMs: flags.duration('think-time', 0, 0, day),
    longShare: flags.number('long-share', 0.1, 0, 1),
    longInputTokens: lengths('long-input-tokens', '1024'),
    longOutputTokens: lengths('long-output-tokens', '64'),
    dataset,
    // A schema ends an answer by itself.
    ignoresEnd: !flags.isOn('stop-early') && name !== 'json'
  }
}

/** `NAME=KEY`, `NAME=KEY@WEIGHT`; KEY may be `env:VARIABLE`. */
function readTenant (text: string, environment: NodeJS.ProcessEnv): Tenant {
  const [, name, given, weight] = /^([^=]+)=(.+?)(?:@(\d{1,6}(?:\.\d{1,3})?))?$/.exec(text) ?? []
  // The message must not show the key.
  if (name === undefined || given === undefined || Number(weight ?? 1) === 0) {
    throw new StartupError('--tenant must be like alice=sk-1 or alice=env:ALICE_KEY@2, with a weight above 0')
  }
  const apiKey = given.startsWith('env:') ? environment[given.slice(4)] : given
  if (apiKey === undefined || apiKey === '') throw new StartupError(`--tenant ${name} takes its key from ${given.slice(4)}, which is not set`)
  return { name, apiKey, weight: Number(weight ?? 1) }
}

/** With the version at its end, which people leave out. */
function readUrl (text: string, flag: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new StartupError(`${flag} is "${text}", but must be an http or https URL, such as http://127.0.0.1:8080/v1`)
  }
  if (url.username !== '' || url.password !== '') throw new StartupError(`${flag} has a user name or password in it; keys are given with --api-key or --header`)
  url.pathname = url.pathname === '/' ? '/v1' : url.pathname.replace(/\/+$/, '')
  return url
}

function readHeaders (texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => {
    const [, name, value] = /^([\w-]+):\s*(.*)$/.exec(text) ?? []
    if (name === undefined || value === undefined) throw new StartupError(`--header is "${text}", but must be like "x-team: research"`)
    return [name.toLowerCase(), value]
  }))
}

function readModelBodies (texts: readonly string[], models: readonly string[] | null): Map<string, Record<string, unknown>> {
  const bodies = new Map<string, Record<string, unknown>>()
  for (const text of texts) {
    const [, name, json] = /^([^=]+)=(.*)$/s.exec(text) ?? []
    if (name === undefined || json === undefined) throw new StartupError(`--model-body is '${text}', but must be like 'pirate={"lora": [{"id": 0, "scale": 1}]}'`)
    if (models?.includes(name) !== true) throw new StartupError(`--model-body is for "${name}", which is none of --models`)
    if (bodies.has(name)) throw new StartupError(`--model-body is given twice for "${name}"`)
    bodies.set(name, readBody(json, `--model-body for "${name}"`))
  }
  return bodies
}

/** @param subject the flag, for errors. */
function readBody (text: string | null, subject: string): Record<string, unknown> {
  if (text === null) return {}
  let value: unknown = null
  try {
    value = JSON.parse(text)
  } catch { /* The same message as for a list. */ }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new StartupError(`${subject} is '${text}', but must be a JSON object, such as '{"top_p": 0.9}'`)
  const body = value as Record<string, unknown>
  throwIfSeveral(body, subject)
  return body
}

/** The command line, by flag. */
class Flags {
  readonly #values = new Map<string, string[]>()
  readonly words: readonly string[]

  constructor (argv: readonly string[]) {
    const options: readonly BenchOption[] = benchOptions
    const { tokens } = parseArgs({
      args: [...argv],
      strict: false,
      tokens: true,
      options: Object.fromEntries(options.map(({ flag, placeholder }) => [flag, { type: placeholder === null ? 'boolean' as const : 'string' as const, ...(flag === 'help' ? { short: 'h' } : {}) }]))
    })
    const words: string[] = []
    for (const token of tokens) {
      if (token.kind === 'positional') words.push(token.value)
      if (token.kind !== 'option') continue
      const option = options.find(({ flag }) => flag === token.name)
      if (option === undefined) {
        throw new StartupError(`There is no option ${token.rawName}${didYouMean(token.rawName, options.map(({ flag }) => `--${flag}`))} (drawbridge bench --help lists them)`)
      }
      const values = this.#values.get(option.flag) ?? []
      if (values.length > 0 && option.isRepeatable !== true) throw new StartupError(`--${option.flag} is given twice, but takes one value`)
      values.push(valueOf(option, token.value, token.inlineValue === true))
      this.#values.set(option.flag, values)
    }
    this.words = words
  }

  isOn (flag: BenchFlag): boolean { return this.#values.has(flag) }
  text (flag: BenchFlag): string | null { return this.#values.get(flag)?.[0] ?? null }
  all (flag: BenchFlag): readonly string[] { return this.#values.get(flag) ?? [] }

  /** The first of the names is the default. */
  choice<T extends string> (flag: BenchFlag, names: readonly [T, ...T[]]): T {
    const text = this.text(flag) ?? names[0]
    const name = names.find((known) => known === text)
    if (name === undefined) throw new StartupError(`--${flag} is "${text}", but must be ${names.slice(0, -1).join(', ')} or ${names.at(-1)}${didYouMean(text, names)}`)
    return name
  }

  integer (flag: BenchFlag, fallback: number, least: number, most: number): number {
    const text = this.text(flag)
    return text === null ? fallback : this.parseNumber(flag, text, least, most, true)
  }

  integers (flag: BenchFlag, fallback: readonly number[], least: number, most: number): readonly number[] {
    return this.text(flag)?.split(',').map((part) => this.parseNumber(flag, part.trim(), least, most, true)) ?? fallback
  }

  number (flag: BenchFlag, fallback: number, least: number, most: number): number {
    const text = this.text(flag)
    return text === null ? fallback : this.parseNumber(flag, text, least, most, false)
  }

  duration (flag: BenchFlag, fallback: number, least: number, most: number): number {
    const text = this.text(flag)
    if (text === null) return fallback
    // Elsewhere a bare number is milliseconds; who asks for `--duration 120` hardly wants those.
    const value = text === '0' || /[a-z]$/.test(text) ? parseValue(text, 'duration') : null
    if (typeof value !== 'number' || value < least || value > most) {
      throw new StartupError(`--${flag} is "${text}", but must be a time with its unit, such as 500ms, 30s or 10m, from ${least}ms to ${most / 3_600_000}h`)
    }
    return value
  }

  parseNumber (flag: BenchFlag, text: string, least: number, most: number, isWhole: boolean): number {
    const value = parseValue(text, isWhole ? 'integer' : 'number')
    if (typeof value !== 'number' || value < least || value > most) {
      throw new StartupError(`--${flag} is "${text}", but must be a ${isWhole ? 'whole number' : 'number'} from ${least} to ${most}`)
    }
    return value
  }
}

function valueOf ({ flag, placeholder }: BenchOption, value: string | undefined, isInline: boolean): string {
  if (placeholder === null) {
    if (isInline) throw new StartupError(`--${flag} takes no value`)
    return 'true'
  }
  const isFlag = !isInline && value !== undefined && /^--[a-z]/.test(value)
  if (value === undefined || value === '' || isFlag) throw new StartupError(`--${flag} needs a value: --${flag} ${placeholder}`)
  return value
}
