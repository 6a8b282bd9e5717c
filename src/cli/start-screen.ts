import type { DraftModelInfo, EmbeddingInfo, EngineInfo } from '../engine/engine.ts'
import { byteText } from '../models/byte-text.ts'

export interface StartedModel {
  readonly id: string
  readonly info: EngineInfo
  /** For example `Q4_K_M`; null where the file does not say. */
  readonly quantization: string | null
}

export interface StartScreen {
  readonly version: string
  /** Where the API can be reached, without `/v1`; the first one is this machine's own. */
  readonly origins: readonly string[]
  readonly models: readonly StartedModel[]
  /** Names of the adapters that can be asked for. */
  readonly adapters: readonly string[]
  readonly keyCount: number
  readonly isPublic: boolean
  /** What starts the program, for hints: `drawbridge` or `npm start --`. */
  readonly command: string
  readonly isColoured: boolean
}

/** What a person sees once the server can answer: where it is, what it serves, and what to do next. */
export function startScreen (screen: StartScreen): string {
  const { version, origins, models, adapters, keyCount, command } = screen
  const bold = (text: string): string => screen.isColoured ? `\u001B[1m${text}\u001B[22m` : text
  const dim = (text: string): string => screen.isColoured ? `\u001B[2m${text}\u001B[22m` : text
  const [origin = ''] = origins
  const [first] = models

  const facts: (readonly [label: string, text: string])[] = [
    ...origins.map((address, index) => [index === 0 ? 'API' : '', bold(`${address}/v1`)] as const),
    ...models.flatMap((model) => [
      ['Model', `${bold(model.id)}  ${dim(describeModel(model))}`] as const,
      ['', describeCapacity(model.info)] as const,
      ...(model.info.draftModel === undefined ? [] : [['', describeDraft(model.info.draftModel)] as const])
    ]),
    ...(adapters.length === 0 ? [] : [['Adapters', listNames(adapters)] as const]),
    ['Access', describeAccess(screen)],
    ['Health', `${origin}/health, /ready, /metrics`]
  ]
  const width = Math.max(...facts.map(([label]) => label.length)) + 2
  const rows = facts.map(([label, text]) => `  ${dim(label.padEnd(width))}${text}`)

  const apiKey = keyCount > 0 ? 'YOUR_KEY' : 'none'
  return `
  ${bold(`Drawbridge ${version}`)}

${rows.join('\n')}

  ${bold('Try it')} in another terminal:

${curlLines(origin, first, keyCount > 0)}

  ${bold('From a program')}, with the openai package of JavaScript or Python:

    new OpenAI({ baseURL: '${origin}/v1', apiKey: '${apiKey}' })
    OpenAI(base_url="${origin}/v1", api_key="${apiKey}")

  ${bold('Next')}
    your own model    ${command} --model path/to/model.gguf
    all options       ${command} --help
    stop              Ctrl+C

`
}

const mostNames = 8

const listNames = (names: readonly string[]): string =>
  names.slice(0, mostNames).join(', ') + (names.length > mostNames ? ` and ${names.length - mostNames} more` : '')

function describeModel ({ info, quantization }: StartedModel): string {
  const { architecture, parameterCount, sizeBytes } = info.model
  if (info.backend === 'fake') return 'made-up text at a set speed, no model'
  return [architecture, `${countText(parameterCount)} parameters`, quantization, byteText(sizeBytes)]
    .filter((part) => part !== null).join(', ')
}

function describeDraft ({ name, parameterCount }: DraftModelInfo): string {
  const size = parameterCount === 0 ? '' : `, ${countText(parameterCount)} parameters`
  return `guesses ahead with ${name ?? 'a draft model'}${size}`
}

function describeCapacity (info: EngineInfo): string {
  const computes = info.backend === 'fake' ? '' : `; ${info.placement}, ${info.threads} ${info.threads === 1 ? 'thread' : 'threads'}`
  if (info.embedding !== undefined && info.canGenerate === false) return describeEmbedding(info.embedding) + computes
  const slots = info.laneCount * info.slotsPerLane
  const lanes = info.laneCount === 1 ? '' : ` in ${info.laneCount} lanes`
  const embeds = info.embedding === undefined ? '' : ', and embeddings'
  return `${slots} ${slots === 1 ? 'answer' : 'answers'} at a time${lanes}, ${info.contextSize} tokens each${embeds}${computes}`
}

function describeEmbedding ({ pooling, size, maxTokens, laneCount }: EmbeddingInfo): string {
  const does = pooling === 'rank' ? 'ranks documents' : `embeddings of ${size} numbers`
  return `${does}, ${laneCount === 1 ? 'one input' : `${laneCount} inputs`} at a time, up to ${maxTokens} tokens each`
}

function describeAccess ({ keyCount, isPublic }: StartScreen): string {
  if (keyCount > 0) return `${keyCount === 1 ? 'one API key' : `${keyCount} API keys`}, sent as "Authorization: Bearer KEY"`
  return isPublic ? 'open to everybody who can reach this address' : 'no key needed; only this machine can connect'
}

/** The key stays out of the screen and of the shell's history. */
function curlLines (origin: string, model: StartedModel | undefined, needsKey: boolean): string {
  const [path, body] = exampleFor(model)
  return [
    `    curl ${origin}/v1/${path} \\`,
    ...(needsKey ? ['      -H "Authorization: Bearer $API_KEY" \\'] : []),
    "      -H 'Content-Type: application/json' \\",
    `      -d ${shellQuote(JSON.stringify({ model: model?.id ?? '', ...body }))}`
  ].join('\n')
}

function exampleFor (model: StartedModel | undefined): readonly [path: string, body: object] {
  const { canGenerate = true, embedding } = model?.info ?? {}
  if (canGenerate) return ['chat/completions', { messages: [{ role: 'user', content: 'Hello!' }], temperature: 0 }]
  return embedding?.pooling === 'rank'
    ? ['rerank', { query: 'What floats?', documents: ['A ship', 'A stone'] }]
    : ['embeddings', { input: 'Hello!', encoding_format: 'float' }]
}

const shellQuote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function countText (count: number): string {
  const units: readonly (readonly [size: number, name: string])[] = [[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'K']]
  const unit = units.find(([size]) => count >= size)
  if (unit === undefined) return String(count)
  const value = count / unit[0]
  return `${value >= 100 ? Math.round(value) : Math.round(value * 10) / 10}${unit[1]}`
}
