import { z } from 'zod'
import { limitsSchema } from '../domain/limits.ts'
import { scopes } from '../domain/scopes.ts'
import { priorities } from '../domain/priority.ts'
import { toolDialects } from '../domain/tool-dialect.ts'

/** `auto` or a number. */
const autoOr = <Schema extends z.ZodType>(schema: Schema) => z.union([z.literal('auto'), schema])

/** Tokens of an answer. */
const answerTokens = z.union([z.literal('off'), z.int().min(1).max(16_777_216)])

const milliseconds = z.int().min(1).max(24 * 60 * 60 * 1000)

/** One model to serve, after all defaults are filled in. */
export const modelConfigSchema = z.strictObject({
  /** `demo`, `fake`, or the path of a GGUF file. */
  ref: z.string().min(1),
  /** The model's name in the API; null derives it from the file name. */
  alias: z.string().min(1).max(256).nullable().default(null),
  /** What guesses ahead for it: `demo`, `fake`, or the path of a GGUF file; null is nothing. */
  draftModel: z.string().min(1).nullable().default(null),
  /** The format of its tool calls; what is set for all models where it is absent. */
  toolDialect: autoOr(z.enum(toolDialects)).optional(),
  /** Whether it makes embeddings although it writes text; what is set for all models where it is absent. */
  embeddings: z.boolean().optional(),
  /** Tokens of its answers; what is set for all models where they are absent. */
  maxTokensDefault: answerTokens.optional(),
  maxTokensLimit: answerTokens.optional()
})

/** A LoRA adapter to load at the start. */
export const adapterConfigSchema = z.strictObject({
  /** With `MODEL:` before it where that is not said otherwise. */
  name: z.string().min(1).max(512),
  /** A path, `https:` or `hf:`. */
  ref: z.string().min(1),
  /** The model's name in the API; null is the only one, or the one that `name` begins with. */
  model: z.string().min(1).nullable().default(null),
  scale: z.number().min(-100).max(100).default(1),
  /** Whether it stays in memory however long nobody asks for it. */
  pinned: z.boolean().default(false),
  systemPrompt: z.string().min(1).nullable().default(null),
  /** Jinja source. */
  chatTemplate: z.string().min(1).nullable().default(null)
})

/** Who is charged for the requests of some keys, and how they are served. Only the file has them. */
export const tenantConfigSchema = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,64}$/),
  keys: z.array(z.string().min(1)).min(1),
  /** Share of the service relative to other tenants'. */
  weight: z.number().min(0.01).max(100).default(1),
  /** The class of its requests that do not say. */
  priority: z.enum(priorities).default('normal'),
  /** The most urgent class that its requests may ask for. */
  highestPriority: z.enum(priorities).default('normal'),
  /** Whether a header of its requests may name the user who is charged. */
  namesUsers: z.boolean().default(false),
  /** Whether its keys may do everything. */
  admin: z.boolean().default(false),
  /** What its keys may be used for; `inference`, `models` and `metrics` where it is absent. */
  scopes: z.array(z.enum(scopes)).min(1).optional(),
  /** Patterns of the models and adapters that it may use; null is all. */
  models: z.array(z.string().min(1).max(256)).min(1).max(100).nullable().default(null),
  adapters: z.array(z.string().min(1).max(256)).min(1).max(100).nullable().default(null),
  /** Of all its keys together. */
  limits: limitsSchema.default({})
})

/** What a million tokens of a model cost, in whatever currency. Only the file has them. */
export const modelPriceSchema = z.strictObject({
  /** A model's id; `*` stands for any characters. */
  model: z.string().min(1).max(256),
  prompt: z.number().min(0).max(1_000_000),
  /** Prompt tokens that came from the cache; as the others where there is none. */
  cached: z.number().min(0).max(1_000_000).optional(),
  completion: z.number().min(0).max(1_000_000).default(0)
})

/** The fake engine's physics, for demos, benchmarks and tests; they matter only to the model `fake`. */
export const fakeConfigSchema = z.strictObject({
  /** Time of a step whatever is in it. */
  stepMs: z.number().min(0).max(60_000).default(5),
  /** Time that each sequence's next token adds to a step. */
  decodeTokenMs: z.number().min(0).max(60_000).default(0.5),
  /** Time that each prompt token adds to a step. */
  prefillTokenMs: z.number().min(0).max(60_000).default(0.05),
  /** How often its draft model is right, where it has one, and the time that each guess of it adds to a step. */
  draftAcceptance: z.number().min(0).max(1).default(0.7),
  draftTokenMs: z.number().min(0).max(60_000).default(0.5)
})

/**
 * Everything that can be set, in one frozen object. Flags, environment variables and the file are three ways
 * to fill these fields (`--max-queue`, `DRAWBRIDGE_MAX_QUEUE`, `maxQueue`); `src/config/options.ts` is their list.
 */
export const configSchema = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: z.int().min(0).max(65_535).default(8080),
  insecureNoAuth: z.boolean().default(false),
  corsOrigins: z.array(z.string().min(1)).default([]),
  /** Whether `/openapi.json` and `/docs` are there. */
  apiDocs: z.enum(['on', 'off']).default('on'),
  /** Largest request body in bytes. */
  bodyLimit: z.int().min(1024).max(1024 * 1024 * 1024).default(8 * 1024 * 1024),
  /** PEM files; `off` is plain HTTP. */
  tlsCert: z.string().min(1).default('off'),
  tlsKey: z.string().min(1).default('off'),
  /** Addresses and ranges of them. */
  trustedProxies: z.array(z.string().min(1)).default([]),
  maxConnections: z.union([z.literal('off'), z.int().min(1).max(1_000_000)]).default(10_000),
  /** Bytes of a request's line and headers. */
  headerLimit: z.int().min(4096).max(1024 * 1024).default(16 * 1024),
  /** After the last answer of a connection. */
  idleTimeoutMs: milliseconds.default(72_000),
  /** Time between SSE comments while a stream has nothing to say. */
  keepAliveMs: milliseconds.default(10_000),
  /** How long SIGTERM waits for running requests before it ends them. */
  drainTimeoutMs: milliseconds.default(30_000),

  models: z.array(modelConfigSchema).min(1).default([{ ref: 'demo', alias: null, draftModel: null }]),

  adapters: z.array(adapterConfigSchema).default([]),
  /** `off` is none. */
  adapterDir: z.string().min(1).default('off'),
  adapterFetch: z.array(z.string().min(1)).default([]),
  /** `auto` is a file in the adapter folder. */
  adapterState: z.string().min(1).default('auto'),
  maxAdapters: z.union([z.literal('off'), z.int().min(1).max(100_000)]).default('off'),
  /** Bytes, of each model. */
  adapterMemory: z.union([z.literal('off'), z.int().min(1024).max(1024 ** 5)]).default('off'),
  adapterMaxSize: z.int().min(1024).max(1024 ** 4).default(4 * 1024 ** 3),
  adapterMaxRank: z.int().min(1).max(65_536).default(512),

  /** `auto` is what a model's chat template shows. */
  toolDialect: z.enum(['auto', ...toolDialects]).default('auto'),
  maxTokensDefault: answerTokens.default('off'),
  maxTokensLimit: answerTokens.default('off'),

  embeddings: z.boolean().default(false),

  slots: autoOr(z.int().min(1).max(256)).default('auto'),
  contextSize: autoOr(z.int().min(16).max(16_777_216)).default('auto'),
  lanes: autoOr(z.int().min(1).max(64)).default('auto'),
  stepTokens: z.int().min(1).max(16_384).default(512),
  maxQueue: z.int().min(1).max(1_000_000).default(256),
  /** Most tokens guessed ahead for an answer in a step; `draft` is `auto` for models with a draft model, `off` for others. */
  speculate: z.union([z.enum(['off', 'auto', 'draft']), z.int().min(1).max(15)]).default('draft'),
  maxQueuePerTenant: z.union([z.literal('off'), z.int().min(1).max(1_000_000)]).default('off'),
  maxQueueTokens: z.union([z.literal('off'), z.int().min(1).max(1_000_000_000)]).default('off'),
  targetItlMs: autoOr(z.int().min(1).max(60_000)).default('auto'),
  /** Bytes of saved caches, of each model. */
  parkCache: z.union([z.enum(['auto', 'off']), z.int().min(1024 ** 2).max(1024 ** 5)]).default('auto'),
  /** `auto` is the system's folder for temporary files. */
  parkDir: z.string().min(1).default('auto'),
  policy: z.enum(['fair', 'first-come-first-served']).default('fair'),
  queueTimeoutMs: milliseconds.default(60_000),
  requestTimeoutMs: milliseconds.default(600_000),

  /** Characters of JSON; what is kept of responses and conversations. */
  responseStore: z.union([z.literal('off'), z.int().min(1024 ** 2).max(1024 ** 4)]).default(64 * 1024 ** 2),
  maxResponses: z.int().min(1).max(10_000_000).default(10_000),
  /** After their last use. */
  responseTtlMs: z.int().min(1000).max(30 * 24 * 60 * 60 * 1000).default(24 * 60 * 60 * 1000),

  /** Whether `/v1/files` and `/v1/batches` are there, with a database. */
  batches: z.enum(['on', 'off']).default('on'),
  /** Lines of a model that run at once, in each server. */
  batchConcurrency: autoOr(z.int().min(1).max(1024)).default('auto'),
  batchMaxLines: z.int().min(1).max(1_000_000).default(50_000),
  /** Bytes. */
  fileMaxSize: z.int().min(1024).max(1024 ** 4).default(200 * 1024 ** 2),
  fileQuota: z.int().min(1024).max(1024 ** 5).default(1024 ** 3),
  fileTotalQuota: z.int().min(1024).max(1024 ** 5).default(10 * 1024 ** 3),
  /** `off` is for ever. */
  fileTtlMs: z.union([z.literal('off'), z.int().min(60 * 60 * 1000).max(20 * 366 * 24 * 60 * 60 * 1000)]).default(30 * 24 * 60 * 60 * 1000),

  gpu: z.enum(['auto', 'off', 'cuda', 'vulkan', 'metal']).default('auto'),
  gpuLayers: z.union([z.enum(['auto', 'max']), z.int().min(0).max(10_000)]).default('auto'),
  threads: autoOr(z.int().min(1).max(512)).default('auto'),
  nativeBuild: z.enum(['auto', 'off']).default('auto'),
  calibrate: z.enum(['auto', 'off']).default('auto'),

  /** Each is a tenant of its own. */
  apiKeys: z.array(z.string().min(1)).default([]),
  tenants: z.array(tenantConfigSchema).default([]),
  /** Each is a tenant of its own that may change what is served. */
  adminKeys: z.array(z.string().min(1)).default([]),
  /** `auto` is in the user's data folder. */
  dataDir: z.string().min(1).default('auto'),
  databaseUrl: z.union([z.literal('off'), z.url({ protocol: /^postgres(?:ql)?$/ })]).default('off'),
  /** Whose requests are in the ledger of usage. */
  usage: z.enum(['keys', 'all', 'off']).default('keys'),
  /** `off` is for ever. */
  usageRetentionMs: z.union([z.literal('off'), z.int().min(60 * 60 * 1000).max(20 * 366 * 24 * 60 * 60 * 1000)]).default('off'),
  /** Of every key that does not have its own. */
  limits: limitsSchema.default({}),
  /** The first that fits a model counts. */
  prices: z.array(modelPriceSchema).default([]),
  publicRoutes: z.array(z.enum(['ready', 'metrics'])).default([]),

  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  logFormat: z.enum(['auto', 'json', 'pretty']).default('auto'),
  /** `off` leaves it to OpenTelemetry's variables. */
  otlpEndpoint: z.string().min(1).default('off'),
  auditLog: z.string().min(1).default('off'),
  logPrompts: z.string().min(1).default('off'),

  fake: fakeConfigSchema.prefault({})
})

export type Config = Readonly<z.infer<typeof configSchema>>
export type TenantConfig = Readonly<z.infer<typeof tenantConfigSchema>>
export type AdapterConfig = Readonly<z.infer<typeof adapterConfigSchema>>
export type ModelPrice = Readonly<z.infer<typeof modelPriceSchema>>
export type ModelConfig = Readonly<z.infer<typeof modelConfigSchema>>
