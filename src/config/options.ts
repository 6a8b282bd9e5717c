import type { Config } from './config.ts'
import type { ValueKind } from './value-kind.ts'

/**
 * Where an option's value goes. `config` is a field of the Config, by its path; the others are for the loader or the
 * command line itself.
 */
export type OptionTarget =
  | { readonly type: 'config', readonly path: readonly [string, ...string[]] }
  | { readonly type: 'models' }
  | { readonly type: 'aliases' }
  | { readonly type: 'draft-models' }
  | { readonly type: 'adapters' }
  | { readonly type: 'admin-keys' }
  | { readonly type: 'api-keys' }
  | { readonly type: 'api-key-file' }
  | { readonly type: 'tenants' }
  | { readonly type: 'config-file' }
  | { readonly type: 'command', readonly name: 'help' | 'version' | 'print-config' }

export type OptionGroup =
  | 'Models' | 'Adapters' | 'Capacity' | 'Batches' | 'Placement' | 'Network' | 'Access' | 'Logs' | 'Configuration' | 'Fake engine'

/** One option in all its spellings: `--max-queue`, `DRAWBRIDGE_MAX_QUEUE`, and `maxQueue` in the file. */
export interface Option {
  /** Without the dashes; a name for messages where there is no such flag. */
  readonly flag: string
  /** One letter, without the dash. */
  readonly short?: string
  /** Key in the YAML file; null where the file has no such key. */
  readonly fileKey: string | null
  /** Whether the command line may set it. */
  readonly hasFlag: boolean
  /** Whether the environment may set it, as `DRAWBRIDGE_` and the flag in capitals. */
  readonly hasVariable: boolean
  readonly target: OptionTarget
  readonly kind: ValueKind
  /** Flag: may be given several times. Variable: a list with commas. File: a list. */
  readonly isRepeatable: boolean
  /** Never shown, not even in error messages. */
  readonly isSecret: boolean
  readonly group: OptionGroup
  /** Stands for the value in the help; empty for switches. */
  readonly placeholder: string
  /** What it means, in one sentence without its full stop. */
  readonly summary: string
  /** What `auto` or an absent value comes to, where the default does not say it by itself. */
  readonly defaultNote?: string
}

type OptionDefinition = Pick<Option, 'flag' | 'group' | 'placeholder' | 'summary'> & Partial<Option>

const camelCase = (flag: string): string => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** An option with a field of its own, of the same name unless `target` says otherwise. */
function define (definition: OptionDefinition): Option {
  const name = camelCase(definition.flag)
  return {
    fileKey: name,
    hasFlag: true,
    hasVariable: true,
    target: { type: 'config', path: [name] },
    kind: 'text',
    isRepeatable: false,
    isSecret: false,
    ...definition
  }
}

const milliseconds = (field: string): Pick<Option, 'target' | 'kind'> =>
  ({ target: { type: 'config', path: [field] }, kind: 'duration' })

const fakePhysics = (field: string): Pick<Option, 'target' | 'kind'> =>
  ({ target: { type: 'config', path: ['fake', field] }, kind: 'number' })

/** The field of the config that an option fills; null for those that fill none. */
export function fieldOf ({ target }: Option): keyof Config | null {
  switch (target.type) {
    case 'config': return target.path[0] as keyof Config
    case 'models': case 'adapters': case 'tenants': return target.type
    case 'api-keys': return 'apiKeys'
    case 'admin-keys': return 'adminKeys'
    default: return null
  }
}

/** Every option of `drawbridge serve`, in the order of the help. */
export const options: readonly Option[] = [
  define({
    flag: 'model',
    short: 'm',
    fileKey: 'models',
    target: { type: 'models' },
    isRepeatable: true,
    group: 'Models',
    placeholder: 'REF',
    summary: 'A GGUF file, a folder with one GGUF model in it, `demo`, or `fake`; repeat it to serve several',
    defaultNote: '`demo`'
  }),
  define({
    flag: 'alias',
    fileKey: null,
    target: { type: 'aliases' },
    isRepeatable: true,
    group: 'Models',
    placeholder: 'NAME',
    summary: "The model's name in the API; the first one names the first model, and so on",
    defaultNote: 'from the file name'
  }),
  define({
    flag: 'draft-model',
    fileKey: null,
    target: { type: 'draft-models' },
    isRepeatable: true,
    group: 'Models',
    placeholder: 'REF',
    summary: 'A much smaller model of the same vocabulary that guesses ahead for the first model, which checks several guesses at once; the second one for the second model, and so on. Answers stay the same',
    defaultNote: 'none'
  }),
  define({
    flag: 'tool-dialect',
    group: 'Models',
    placeholder: 'NAME',
    summary: 'Format in which models call tools, one of those in docs/tools.md, or auto; in the file, an entry of `models` may have its own `toolDialect`',
    defaultNote: 'what the chat template shows'
  }),
  define({
    flag: 'embeddings',
    kind: 'switch',
    group: 'Models',
    placeholder: '',
    summary: 'Make embeddings with models that write text too, as the mean over their tokens; embedding models make them anyway. In the file, an entry of `models` may have its own `embeddings`'
  }),
  define({
    flag: 'max-tokens-default',
    kind: 'integer',
    group: 'Models',
    placeholder: 'N',
    summary: 'Most tokens of a chat answer whose request does not say; in the file, an entry of `models` may have its own `maxTokensDefault`',
    defaultNote: 'as many as the context holds'
  }),
  define({
    flag: 'max-tokens-limit',
    kind: 'integer',
    group: 'Models',
    placeholder: 'N',
    summary: 'Most tokens of an answer, whatever its request says; it ends with `length` there. In the file, an entry of `models` may have its own `maxTokensLimit`',
    defaultNote: 'as many as the context holds'
  }),

  define({
    flag: 'adapter',
    fileKey: 'adapters',
    target: { type: 'adapters' },
    isRepeatable: true,
    group: 'Adapters',
    placeholder: 'NAME=REF[@SCALE]',
    summary: 'LoRA adapter to load at the start, from a GGUF file, a PEFT folder, `https:` or `hf:OWNER/REPOSITORY`; `MODEL:NAME=REF` where there are several models; repeatable',
    defaultNote: 'none'
  }),
  define({
    flag: 'adapter-dir',
    group: 'Adapters',
    placeholder: 'DIR',
    summary: 'Folder whose adapters are loaded while they are in it, and the only place that the API may load paths from; `DIR/MODEL` where there are several models'
  }),
  define({
    flag: 'adapter-fetch',
    isRepeatable: true,
    group: 'Adapters',
    placeholder: 'PREFIX',
    summary: 'What the API may download adapters from: `https://HOST/PATH/`, `hf:OWNER/`, or `hf:` for all of Hugging Face; repeatable',
    defaultNote: 'nothing'
  }),
  define({
    flag: 'adapter-state',
    group: 'Adapters',
    placeholder: 'FILE',
    summary: 'Where the adapters that the API has loaded are remembered for the next start',
    defaultNote: '`.drawbridge-adapters.json` in the adapter folder'
  }),
  define({
    flag: 'max-adapters',
    kind: 'integer',
    group: 'Adapters',
    placeholder: 'N',
    summary: 'Most adapters in memory, for each model; those that nobody has asked for longest make room, and come back when somebody does'
  }),
  define({
    flag: 'adapter-memory',
    kind: 'bytes',
    group: 'Adapters',
    placeholder: 'SIZE',
    summary: 'Most memory that adapters take, for each model'
  }),
  define({
    flag: 'adapter-max-size',
    kind: 'bytes',
    group: 'Adapters',
    placeholder: 'SIZE',
    summary: 'Largest file of an adapter'
  }),
  define({
    flag: 'adapter-max-rank',
    kind: 'integer',
    group: 'Adapters',
    placeholder: 'N',
    summary: 'Highest rank of an adapter'
  }),

  define({
    flag: 'slots',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Answers that are generated at the same time, for each model; more requests wait in the queue',
    defaultNote: 'up to 8 in each lane, from memory and the model'
  }),
  define({
    flag: 'context-size',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Tokens that each answer may hold, its prompt included; at most what the model was trained on',
    defaultNote: 'up to 8192, from memory and the model'
  }),
  define({
    flag: 'lanes',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Contexts that step in parallel over one copy of the weights and share the threads, each for other adapters; the slots are divided among them',
    defaultNote: '1; with adapters on a CPU one for each, up to 4 and no more than threads; on a GPU 2 or 4 for models that are small beside its memory'
  }),
  define({
    flag: 'step-tokens',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: "Most tokens in one forward pass: higher reads prompts faster, lower keeps others' answers flowing meanwhile"
  }),
  define({
    flag: 'max-queue',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Most answers that wait for a slot, for each model; beyond that requests get a 429'
  }),
  define({
    flag: 'max-queue-per-tenant',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Most of them of one tenant; even without it the others can push out whoever has most waiting'
  }),
  define({
    flag: 'max-queue-tokens',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Most tokens of the prompts that wait'
  }),
  define({
    flag: 'target-itl',
    ...milliseconds('targetItlMs'),
    group: 'Capacity',
    placeholder: 'TIME',
    summary: 'How long running answers may wait for their next token while prompts are read; shorter makes prompts wait longer',
    defaultNote: '100 ms, or nine times what a token takes by itself'
  }),
  define({
    flag: 'speculate',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Most tokens to guess ahead, from what an answer repeats or with the draft model, where that saves time, as far as the server has seen; answers stay the same. `auto` is up to 15, `draft` is `auto` where there is a draft model and else `off`'
  }),
  define({
    flag: 'park-cache',
    kind: 'bytes',
    group: 'Capacity',
    placeholder: 'SIZE',
    summary: 'How much each model may save of caches whose slots are given away, to go on from them when a conversation comes back',
    defaultNote: 'an eighth of the memory that the models leave, at most half of the room in the folder'
  }),
  define({
    flag: 'park-dir',
    group: 'Capacity',
    placeholder: 'DIR',
    summary: "Where saved caches go, in a folder that is removed at the end; they are what users wrote, so it is readable by the server's user only",
    defaultNote: "the system's folder for temporary files"
  }),
  define({
    flag: 'policy',
    group: 'Capacity',
    placeholder: 'NAME',
    summary: 'Who gets the next free slot: `fair` gives everybody (every API key, or every address) the same number of tokens, `first-come-first-served` goes by arrival'
  }),
  define({
    flag: 'queue-timeout',
    ...milliseconds('queueTimeoutMs'),
    group: 'Capacity',
    placeholder: 'TIME',
    summary: 'Longest wait for a slot before a request gets a 503'
  }),
  define({
    flag: 'request-timeout',
    ...milliseconds('requestTimeoutMs'),
    group: 'Capacity',
    placeholder: 'TIME',
    summary: 'Longest time for a whole answer, the wait included'
  }),

  define({
    flag: 'response-store',
    kind: 'bytes',
    group: 'Capacity',
    placeholder: 'SIZE',
    summary: 'How much of responses and conversations is kept for later requests, as JSON, in memory; whoever has most there makes room first'
  }),
  define({
    flag: 'max-responses',
    kind: 'integer',
    group: 'Capacity',
    placeholder: 'N',
    summary: 'Most responses and conversations that are kept'
  }),
  define({
    flag: 'response-ttl',
    ...milliseconds('responseTtlMs'),
    group: 'Capacity',
    placeholder: 'TIME',
    summary: 'How long a response or conversation is kept after it was last used'
  }),

  define({
    flag: 'batches',
    group: 'Batches',
    placeholder: '',
    summary: 'Whether clients may upload files of requests, which run in idle time; takes a database'
  }),
  define({
    flag: 'batch-concurrency',
    kind: 'integer',
    group: 'Batches',
    placeholder: 'N',
    summary: 'How many lines of batches run at once, for each model',
    defaultNote: 'as many as there are slots, and two that wait'
  }),
  define({
    flag: 'batch-max-lines',
    kind: 'integer',
    group: 'Batches',
    placeholder: 'N',
    summary: 'Most requests of a batch'
  }),
  define({
    flag: 'file-max-size',
    kind: 'bytes',
    group: 'Batches',
    placeholder: 'SIZE',
    summary: 'Largest file that may be uploaded'
  }),
  define({
    flag: 'file-quota',
    kind: 'bytes',
    group: 'Batches',
    placeholder: 'SIZE',
    summary: 'How much the files and unfinished batches of one owner may take in the database; what batches have made is kept beyond it'
  }),
  define({
    flag: 'file-total-quota',
    kind: 'bytes',
    group: 'Batches',
    placeholder: 'SIZE',
    summary: 'The same for everybody together'
  }),
  define({
    flag: 'file-ttl',
    ...milliseconds('fileTtlMs'),
    group: 'Batches',
    placeholder: 'TIME',
    summary: 'How long files are kept that do not say; `off` is for ever'
  }),

  define({
    flag: 'gpu',
    group: 'Placement',
    placeholder: 'KIND',
    summary: 'Where the model computes',
    defaultNote: 'a GPU where there is one'
  }),
  define({
    flag: 'gpu-layers',
    kind: 'integer',
    group: 'Placement',
    placeholder: 'N',
    summary: "How many of the model's layers go to the GPU",
    defaultNote: 'as many as fit'
  }),
  define({
    flag: 'threads',
    kind: 'integer',
    group: 'Placement',
    placeholder: 'N',
    summary: 'Most CPU threads for each model, shared by its lanes; fewer are used while other programs want the cores',
    defaultNote: 'physical cores this process may use, one logical core left over'
  }),
  define({
    flag: 'native-build',
    group: 'Placement',
    placeholder: 'MODE',
    summary: 'Whether to use the llama.cpp that `npm run build:native` compiled for this machine',
    defaultNote: 'if there is one and it works'
  }),
  define({
    flag: 'calibrate',
    group: 'Placement',
    placeholder: 'MODE',
    summary: 'Whether the first start with a model on a CPU measures for up to 3 s which threads and attention are fastest; later ones remember',
    defaultNote: 'on a CPU; `--threads` is not changed'
  }),

  define({
    flag: 'host',
    group: 'Network',
    placeholder: 'ADDRESS',
    summary: 'Address to listen on; one that others can reach needs an API key'
  }),
  define({
    flag: 'port',
    kind: 'integer',
    group: 'Network',
    placeholder: 'N',
    summary: 'Port to listen on; 0 takes a free one'
  }),
  define({
    flag: 'tls-cert',
    group: 'Network',
    placeholder: 'FILE',
    summary: 'Certificate with its chain, as PEM, to serve HTTPS instead of HTTP; read again when it changes'
  }),
  define({
    flag: 'tls-key',
    group: 'Network',
    placeholder: 'FILE',
    summary: 'Private key of that certificate, as PEM'
  }),
  define({
    flag: 'trusted-proxy',
    fileKey: 'trustedProxies',
    target: { type: 'config', path: ['trustedProxies'] },
    isRepeatable: true,
    group: 'Network',
    placeholder: 'RANGE',
    summary: 'Address or range (`10.0.0.0/8`) of reverse proxies whose `X-Forwarded-For` is believed; what comes from one never counts as a program on this machine; repeatable',
    defaultNote: 'none'
  }),
  define({
    flag: 'cors-origin',
    fileKey: 'corsOrigins',
    target: { type: 'config', path: ['corsOrigins'] },
    isRepeatable: true,
    group: 'Network',
    placeholder: 'ORIGIN',
    summary: 'Origin of web pages that may call the API from a browser, or `*` for all; repeatable',
    defaultNote: 'none'
  }),
  define({
    flag: 'api-docs',
    group: 'Network',
    placeholder: 'on|off',
    summary: 'Whether the API describes itself, to everybody and without a key: `/openapi.json`, and `/docs` for people'
  }),
  define({
    flag: 'body-limit',
    kind: 'bytes',
    group: 'Network',
    placeholder: 'SIZE',
    summary: 'Largest request body; bigger ones get a 413'
  }),
  define({
    flag: 'header-limit',
    kind: 'bytes',
    group: 'Network',
    placeholder: 'SIZE',
    summary: 'Most bytes of the headers of a request'
  }),
  define({
    flag: 'max-connections',
    kind: 'integer',
    group: 'Network',
    placeholder: 'N',
    summary: 'Most open connections; more are closed as they come'
  }),
  define({
    flag: 'idle-timeout',
    ...milliseconds('idleTimeoutMs'),
    group: 'Network',
    placeholder: 'TIME',
    summary: 'How long a connection stays open between two requests; longer than that of a proxy in front'
  }),
  define({
    flag: 'keep-alive',
    ...milliseconds('keepAliveMs'),
    group: 'Network',
    placeholder: 'TIME',
    summary: 'Time between the comments that keep a silent stream open'
  }),
  define({
    flag: 'drain-timeout',
    ...milliseconds('drainTimeoutMs'),
    group: 'Network',
    placeholder: 'TIME',
    summary: 'How long running answers may go on after SIGTERM or Ctrl+C'
  }),

  define({
    flag: 'api-key',
    fileKey: 'apiKeys',
    target: { type: 'api-keys' },
    isRepeatable: true,
    isSecret: true,
    group: 'Access',
    placeholder: 'KEY',
    summary: 'Key that clients must send; repeatable. Other users of the machine can read flags, so prefer a file',
    defaultNote: 'none'
  }),
  define({
    flag: 'api-key-file',
    target: { type: 'api-key-file' },
    group: 'Access',
    placeholder: 'FILE',
    summary: 'File with one key in each line; lines that begin with # are comments',
    defaultNote: 'none'
  }),
  define({
    flag: 'admin-key',
    fileKey: 'adminKeys',
    target: { type: 'admin-keys' },
    isRepeatable: true,
    isSecret: true,
    group: 'Access',
    placeholder: 'KEY',
    summary: 'Key that may change adapters and keys as well; repeatable. Without any keys, programs on this machine may change adapters',
    defaultNote: 'none'
  }),
  define({
    flag: 'tenants',
    hasFlag: false,
    hasVariable: false,
    target: { type: 'tenants' },
    isRepeatable: true,
    isSecret: true,
    group: 'Access',
    placeholder: '',
    summary: 'Who is charged for which keys, with which weight and priority; only in the file',
    defaultNote: 'each key is a tenant'
  }),
  define({
    flag: 'data-dir',
    group: 'Access',
    placeholder: 'DIR',
    summary: 'Folder of the database, which has the keys that `drawbridge keys` makes; `off` is none',
    defaultNote: "in the user's data folder"
  }),
  define({
    flag: 'database-url',
    isSecret: true,
    group: 'Access',
    placeholder: 'postgres://USER:PASSWORD@HOST/NAME',
    summary: 'PostgreSQL to use instead, which several servers can share'
  }),
  define({
    flag: 'usage',
    group: 'Access',
    placeholder: 'WHOSE',
    summary: 'Whose requests the database counts, for reports: `keys` is those with an API key, `all` those of network addresses as well'
  }),
  define({
    flag: 'usage-retention',
    ...milliseconds('usageRetentionMs'),
    group: 'Access',
    placeholder: 'TIME',
    summary: 'How long what requests have used is kept, such as `9600h`; `off` is for ever'
  }),
  define({
    flag: 'limits',
    hasFlag: false,
    hasVariable: false,
    group: 'Access',
    placeholder: '',
    summary: 'What each key may use of the server where it has no limits of its own, as docs/limits.md has it; only in the file',
    defaultNote: 'none'
  }),
  define({
    flag: 'prices',
    hasFlag: false,
    hasVariable: false,
    isRepeatable: true,
    group: 'Access',
    placeholder: '',
    summary: 'What tokens of models cost, for reports, as docs/usage.md has it; only in the file',
    defaultNote: 'none'
  }),
  define({
    flag: 'public-route',
    fileKey: 'publicRoutes',
    target: { type: 'config', path: ['publicRoutes'] },
    isRepeatable: true,
    group: 'Access',
    placeholder: 'NAME',
    summary: 'Route that needs no key, beside /health: `ready` for probes, which then tells no models, or `metrics`; repeatable',
    defaultNote: 'none'
  }),
  define({
    flag: 'insecure-no-auth',
    kind: 'switch',
    group: 'Access',
    placeholder: '',
    summary: 'Listen where others can reach it without any API key'
  }),

  define({
    flag: 'log-level',
    group: 'Logs',
    placeholder: 'LEVEL',
    summary: 'Least severe messages to log'
  }),
  define({
    flag: 'log-format',
    group: 'Logs',
    placeholder: 'FORMAT',
    summary: 'Form of the log',
    defaultNote: 'pretty on a terminal, else json'
  }),
  define({
    flag: 'otlp-endpoint',
    group: 'Logs',
    placeholder: 'URL',
    summary: 'OpenTelemetry collector that traces are sent to, as JSON over HTTP; `/v1/traces` is added',
    defaultNote: 'what `OTEL_EXPORTER_OTLP_ENDPOINT` says, if anything'
  }),
  define({
    flag: 'audit-log',
    group: 'Logs',
    placeholder: 'FILE',
    summary: 'File that gets a line of JSON for each change by an admin, and for each request that was turned away with 401 or 403'
  }),
  define({
    flag: 'log-prompts',
    group: 'Logs',
    placeholder: 'FILE',
    summary: 'File that gets a line of JSON with the body and the answers of each request that ran a model; no other log has them'
  }),

  define({
    flag: 'config',
    fileKey: null,
    target: { type: 'config-file' },
    group: 'Configuration',
    placeholder: 'FILE',
    summary: 'YAML file with any of these settings (aliases and draft models stand with the models there)',
    defaultNote: 'none'
  }),
  define({
    flag: 'print-config',
    fileKey: null,
    hasVariable: false,
    kind: 'switch',
    target: { type: 'command', name: 'print-config' },
    group: 'Configuration',
    placeholder: '',
    summary: 'Show every setting and where it comes from, secrets hidden, then exit'
  }),
  define({
    flag: 'version',
    short: 'v',
    fileKey: null,
    hasVariable: false,
    kind: 'switch',
    target: { type: 'command', name: 'version' },
    group: 'Configuration',
    placeholder: '',
    summary: 'Show the version, then exit'
  }),
  define({
    flag: 'help',
    short: 'h',
    fileKey: null,
    hasVariable: false,
    kind: 'switch',
    target: { type: 'command', name: 'help' },
    group: 'Configuration',
    placeholder: '',
    summary: 'Show this help, then exit'
  }),

  define({
    flag: 'fake-step-ms',
    ...fakePhysics('stepMs'),
    group: 'Fake engine',
    placeholder: 'MS',
    summary: 'Time of a step, whatever is in it'
  }),
  define({
    flag: 'fake-decode-token-ms',
    ...fakePhysics('decodeTokenMs'),
    group: 'Fake engine',
    placeholder: 'MS',
    summary: 'Time that each next token adds to a step'
  }),
  define({
    flag: 'fake-prefill-token-ms',
    ...fakePhysics('prefillTokenMs'),
    group: 'Fake engine',
    placeholder: 'MS',
    summary: 'Time that each prompt token adds to a step'
  }),
  define({
    flag: 'fake-draft-acceptance',
    ...fakePhysics('draftAcceptance'),
    group: 'Fake engine',
    placeholder: 'SHARE',
    summary: 'How many guesses of its draft model (`--draft-model fake`) are right, 0 to 1'
  }),
  define({
    flag: 'fake-draft-token-ms',
    ...fakePhysics('draftTokenMs'),
    group: 'Fake engine',
    placeholder: 'MS',
    summary: 'Time that each of those guesses adds to a step, beside that of a prompt token'
  })
]

/** `DRAWBRIDGE_MAX_QUEUE` for `max-queue`. */
export const variableName = (option: Option): string => `DRAWBRIDGE_${option.flag.toUpperCase().replaceAll('-', '_')}`
