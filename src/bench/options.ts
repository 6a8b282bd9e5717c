/** One flag of `drawbridge bench`. */
export interface BenchOption {
  readonly flag: string
  /** What its value is called in the help; null for switches. */
  readonly placeholder: string | null
  readonly summary: string
  readonly group: string
  readonly isRepeatable?: boolean
}

/** All flags of `drawbridge bench`, in the order of the help. What their values may be is `parseOptions`' to say. */
export const benchOptions = [
  { flag: 'url', placeholder: 'URL', group: 'Target', summary: 'Base URL of an OpenAI-compatible API, as SDKs take it; also the first word after "bench". Default: http://127.0.0.1:8080/v1' },
  { flag: 'api-key', placeholder: 'KEY', group: 'Target', summary: 'Sent as a bearer token. Default: the environment\'s OPENAI_API_KEY, if set' },
  { flag: 'header', placeholder: 'NAME:VALUE', group: 'Target', summary: 'A header of every request; an authorization of its own takes the place of a key', isRepeatable: true },
  { flag: 'model', placeholder: 'NAME', group: 'Target', summary: 'The model asked for. Default: the first that the server lists' },
  { flag: 'models', placeholder: 'A,B,C', group: 'Target', summary: 'Several models or adapters, with figures for each' },
  { flag: 'model-mix', placeholder: 'MIX', group: 'Target', summary: 'How requests are spread over --models: round-robin, random or zipf (the first most). Default: round-robin' },
  { flag: 'tenant', placeholder: 'NAME=KEY[@WEIGHT]', group: 'Target', summary: 'One of several API keys, with its share of the load (1) and figures of its own; KEY can be env:VARIABLE', isRepeatable: true },
  { flag: 'endpoint', placeholder: 'KIND', group: 'Target', summary: 'chat or completions. Default: chat' },
  { flag: 'no-stream', placeholder: null, group: 'Target', summary: 'Ask for whole answers; there is no TTFT, TPOT or ITL then' },

  { flag: 'concurrency', placeholder: 'N[,N…]|auto', group: 'Load', summary: 'Closed loop: so many users, each asking again when answered. A list is a sweep; auto doubles until nothing is gained. Default: 8' },
  { flag: 'rate', placeholder: 'R[,R…]|auto|inf', group: 'Load', summary: 'Open loop: requests per second at random times, however slow the answers. A list is a sweep; auto tries shares of what the server can do; inf sends all at once' },
  { flag: 'burstiness', placeholder: 'G', group: 'Load', summary: 'Shape of the gaps between arrivals: 1 is Poisson, less is burstier, more is more regular, inf is regular. Default: 1' },
  { flag: 'ramp', placeholder: 'FORM:FROM', group: 'Load', summary: 'Let the rate go from FROM to --rate during the run: linear:1 or exponential:1' },
  { flag: 'max-concurrency', placeholder: 'N', group: 'Load', summary: 'With --rate: no more requests under way at once' },
  { flag: 'requests', placeholder: 'N', group: 'Load', summary: 'Requests of a run. Default: 10 per concurrency or 30 s of the rate, at least 50' },
  { flag: 'duration', placeholder: 'TIME', group: 'Load', summary: 'Length of a run instead (30s, 5m); the last requests are waited for' },
  { flag: 'warmup', placeholder: 'N', group: 'Load', summary: 'Requests before the first run, which do not count. Default: as many as run at once, at most 16' },
  { flag: 'repetitions', placeholder: 'N', group: 'Load', summary: 'Runs of every load, with other questions each. Default: 1, with --vs 3' },
  { flag: 'seed', placeholder: 'N', group: 'Load', summary: 'The same seed asks the same questions at the same times. Without it lengths and times are those of seed 1, but words are new, so that no cache knows them from the last time' },

  { flag: 'workload', placeholder: 'NAME', group: 'Workload', summary: 'synthetic, shared-prefix, multi-turn, mixed, json or dataset. Default: synthetic' },
  { flag: 'input-tokens', placeholder: 'LENGTH', group: 'Workload', summary: 'Of a prompt: 128, uniform:64-256, lognormal:128 or lognormal:128,0.5. Default: 128' },
  { flag: 'output-tokens', placeholder: 'LENGTH', group: 'Workload', summary: 'Of an answer. Default: 64' },
  { flag: 'prefix-tokens', placeholder: 'LENGTH', group: 'Workload', summary: 'shared-prefix: of a system prompt. Default: 512' },
  { flag: 'prefixes', placeholder: 'N', group: 'Workload', summary: 'shared-prefix: different system prompts. Default: 4' },
  { flag: 'turns', placeholder: 'N', group: 'Workload', summary: 'multi-turn: requests of a conversation. Default: 4' },
  { flag: 'think-time', placeholder: 'TIME', group: 'Workload', summary: 'multi-turn: mean pause before the next question. Default: 0' },
  { flag: 'long-share', placeholder: 'SHARE', group: 'Workload', summary: 'mixed: share of long requests, 0 to 1. Default: 0.1' },
  { flag: 'long-input-tokens', placeholder: 'LENGTH', group: 'Workload', summary: 'mixed: of a long prompt. Default: 1024' },
  { flag: 'long-output-tokens', placeholder: 'LENGTH', group: 'Workload', summary: 'mixed: of the answer to a long prompt. Default: 64' },
  { flag: 'dataset', placeholder: 'FILE', group: 'Workload', summary: 'JSONL or a JSON list of prompts, request bodies or ShareGPT conversations; sets --workload dataset' },
  { flag: 'stop-early', placeholder: null, group: 'Workload', summary: 'Let answers end where the model ends them; by default they have exactly their length (ignore_eos), which OpenAI\'s own API refuses' },
  { flag: 'temperature', placeholder: 'N', group: 'Workload', summary: 'Of every request. Default: 0' },
  { flag: 'model-body', placeholder: 'NAME=JSON', group: 'Workload', summary: 'Fields of the requests for one of --models, which can then be any name: for servers that choose adapters by another field than model', isRepeatable: true },
  { flag: 'extra-body', placeholder: 'JSON', group: 'Workload', summary: 'Fields of every request body' },

  { flag: 'goodput', placeholder: 'SLO…', group: 'Judgement', summary: 'Objectives in ms, such as ttft:200 tpot:50 (also itl, e2el): how many requests met them all', isRepeatable: true },
  { flag: 'timeout', placeholder: 'TIME', group: 'Judgement', summary: 'Longest time for an answer. Default: 10m' },
  { flag: 'stall-timeout', placeholder: 'TIME', group: 'Judgement', summary: 'Longest time without a byte of a stream. Default: 60s' },

  { flag: 'vs', placeholder: 'URL', group: 'Comparison', summary: 'Another server for the same load: runs of both take turns, and ratios are reported with their spread' },
  { flag: 'vs-api-key', placeholder: 'KEY', group: 'Comparison', summary: 'Its key. Default: as --api-key' },
  { flag: 'vs-model', placeholder: 'NAME', group: 'Comparison', summary: 'Its model. Default: the first that it lists' },
  { flag: 'label', placeholder: 'NAME', group: 'Comparison', summary: 'What the server is called in reports. Default: its host and port' },
  { flag: 'vs-label', placeholder: 'NAME', group: 'Comparison', summary: 'What the other one is called' },
  { flag: 'compare', placeholder: 'A.json B.json', group: 'Comparison', summary: 'Compare two reports instead of running anything' },

  { flag: 'json', placeholder: 'FILE', group: 'Output', summary: 'Write all results, with the keys of vllm bench serve' },
  { flag: 'html', placeholder: 'FILE', group: 'Output', summary: 'Write a report with plots, in one file that needs no network' },
  { flag: 'save-texts', placeholder: null, group: 'Output', summary: 'Keep the answers in --json' },
  { flag: 'help', placeholder: null, group: 'Output', summary: 'This text' }
] as const satisfies readonly BenchOption[]

export type BenchFlag = typeof benchOptions[number]['flag']
