import { readFileSync } from 'node:fs'
import { Random } from '../../domain/random.ts'
import { StartupError } from '../../domain/startup-error.ts'
import type { Endpoint } from './made-up.ts'
import { linePieces, listPieces, type JsonPiece } from './json-pieces.ts'
import type { LengthDistribution } from './length-distribution.ts'
import { throwIfSeveral } from './one-answer.ts'
import type { TextMaker } from './text-maker.ts'
import { singleTurn, type Turn, type Workload } from './workload.ts'

/** A line of a dataset that can be asked; `outputText` is the answer that somebody gave, whose length is asked for. */
type Item =
  | { readonly type: 'body', readonly body: Readonly<Record<string, unknown>> }
  | { readonly type: 'prompt', readonly prompt: string, readonly outputText: string | null, readonly outputTokens: number | null }

export interface DatasetParts {
  readonly file: string
  readonly seed: number
  readonly endpoint: Endpoint
  readonly texts: TextMaker
  /** For prompts that come without an answer or a length. */
  readonly outputTokens: LengthDistribution
  readonly ignoresEnd: boolean
}

/**
 * Prompts from a file, in an order drawn from the seed, again from the start when they are used up. A JSONL file or a JSON
 * list of: texts; `{"prompt": "…"}`, with `output_tokens` if wanted; whole request bodies (an object with `messages`, or with a
 * `prompt` and other fields of the API), sent as they are; ShareGPT's `{"conversations": [{"from": "human", "value": "…"}, …]}`, of
 * which the first question is asked, with an answer about as long as the one given.
 *
 * @throws StartupError that names the file and the entry.
 */
export function datasetWorkload (parts: DatasetParts): Workload {
  const items = readItems(parts.file)
  const order = shuffled(items, new Random(parts.seed).fork(0x7fff_0001))
  return {
    asksAnew: false,
    description: `dataset ${parts.file.split('/').at(-1) ?? parts.file}, ${items.length} entries`,
    conversation (number) {
      const item = order[number % order.length]
      if (item === undefined) throw new RangeError('A dataset has at least one entry')
      return singleTurn('dataset', bodyOf(item, parts, new Random(parts.seed).fork(number)))
    }
  }
}

function bodyOf (item: Item, { endpoint, texts, outputTokens, ignoresEnd }: DatasetParts, random: Random): Turn['body'] {
  if (item.type === 'body') return item.body
  const length = item.outputTokens ?? (item.outputText === null ? outputTokens.draw(random) : texts.estimateTokens(item.outputText))
  return {
    ...(endpoint === 'chat' ? { messages: [{ role: 'user', content: item.prompt }] } : { prompt: item.prompt }),
    max_tokens: length,
    ...(ignoresEnd ? { ignore_eos: true } : {})
  }
}

/** @throws StartupError that names the file and the entry. */
export function readItems (file: string): readonly Item[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new StartupError(`--dataset ${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  const isList = /^\uFEFF?\s*\[/.test(bytes.toString('utf8', 0, 1024))
  const items: Item[] = []
  for (const { value, place } of isList ? parseList(bytes, file) : parseLines(bytes, file)) {
    // ShareGPT has conversations that begin with the machine; they ask nothing.
    const item = readItem(value, `--dataset ${file}, ${place}`)
    if (item !== null) items.push(item)
  }
  if (items.length === 0) throw new StartupError(`--dataset ${file} has nothing to ask`)
  return items
}

interface Entry {
  readonly value: unknown
  readonly place: string
}

function * parseList (bytes: Uint8Array, file: string): Generator<Entry> {
  const pieces = listPieces(bytes)
  for (;;) {
    let piece: IteratorResult<JsonPiece>
    try {
      piece = pieces.next()
    } catch (error) {
      throw new StartupError(`--dataset ${file} is no JSON list: ${(error as Error).message}`, { cause: error })
    }
    if (piece.done === true) return
    yield parsed(piece.value, file, 'entry')
  }
}

function * parseLines (bytes: Uint8Array, file: string): Generator<Entry> {
  for (const piece of linePieces(bytes)) yield parsed(piece, file, 'line')
}

function parsed ({ text, number }: JsonPiece, file: string, kind: 'entry' | 'line'): Entry {
  try {
    // Editors of some systems begin a file with a byte order mark.
    return { value: JSON.parse(number === 1 ? text.replace(/^\uFEFF/, '') : text) as unknown, place: `${kind} ${number}` }
  } catch (error) {
    throw new StartupError(`--dataset ${file}, ${kind} ${number} is not JSON: ${(error as Error).message}`, { cause: error })
  }
}

const bodyFields = new Set(['max_tokens', 'max_completion_tokens', 'model', 'temperature', 'stop', 'n', 'response_format', 'tools', 'seed', 'ignore_eos'])

function readItem (value: unknown, place: string): Item | null {
  if (typeof value === 'string') return { type: 'prompt', prompt: value, outputText: null, outputTokens: null }
  const entry = typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
  if (Array.isArray(entry['conversations'])) return readShareGpt(entry['conversations'])
  throwIfSeveral(entry, place)
  if (Array.isArray(entry['messages'])) return { type: 'body', body: entry }
  const { prompt } = entry
  if (typeof prompt === 'string' && !Object.keys(entry).some((name) => bodyFields.has(name))) {
    const length = entry['output_tokens']
    const hasLength = typeof length === 'number' && Number.isInteger(length) && length > 0
    return { type: 'prompt', prompt, outputText: null, outputTokens: hasLength ? length : null }
  }
  if (typeof prompt === 'string' || Array.isArray(prompt)) return { type: 'body', body: entry }
  throw new StartupError(`${place} is not a text and has no "prompt", "messages" or "conversations"`)
}

function readShareGpt (turns: readonly unknown[]): Item | null {
  const texts = turns.slice(0, 2).map((turn) => {
    const { value, content } = (turn ?? {}) as { value?: unknown, content?: unknown }
    return typeof value === 'string' ? value : typeof content === 'string' ? content : undefined
  })
  const [prompt, answer] = texts
  const { from, role } = (turns[0] ?? {}) as { from?: unknown, role?: unknown }
  if (prompt === undefined || prompt === '' || answer === undefined || (from !== 'human' && from !== 'user' && role !== 'user')) return null
  return { type: 'prompt', prompt, outputText: answer, outputTokens: null }
}

function shuffled<T> (items: readonly T[], random: Random): readonly T[] {
  const order = [...items]
  for (let index = order.length - 1; index > 0; index--) {
    const other = random.below(index + 1)
    const item = order[index]!
    order[index] = order[other]!
    order[other] = item
  }
  return order
}
