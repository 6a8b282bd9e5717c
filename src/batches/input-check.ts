import { ServerError } from '../domain/errors.ts'
import type { BatchEndpoint, BatchProblem } from './batch.ts'
import type { NewLine } from './line-store.ts'
import type { TextLine } from './text-lines.ts'

export interface InputCheckOptions {
  readonly endpoint: BatchEndpoint
  readonly maxLines: number
  /** @throws ServerError for what is no JSON, or such that it had better not be read */
  readonly parse: (text: string) => unknown
}

/** More of them help nobody. */
export const mostProblems = 100

const longestCustomId = 512

/** Members that a line may have, beside which there are none. */
const members = ['custom_id', 'method', 'url', 'body']

/** Looks at the lines of an input, one after the other. */
export class InputCheck {
  readonly #options: InputCheckOptions
  readonly #problems: BatchProblem[] = []
  readonly #customIds = new Set<string>()
  #model: string | null = null
  #count = 0

  constructor (options: InputCheckOptions) {
    this.#options = options
  }

  /** What is wrong so far. */
  get problems (): readonly BatchProblem[] { return this.#problems }

  /** Of the first request. */
  get model (): string | null { return this.#model }

  /** Requests so far. */
  get count (): number { return this.#count }

  /** Whether there is no sense in reading on. */
  get isHopeless (): boolean { return this.#problems.length >= mostProblems || this.#count > this.#options.maxLines }

  /** @returns null for an empty line, and for one that something is wrong with */
  take ({ number, text }: TextLine): NewLine | null {
    if (text.trim() === '') return null
    if (++this.#count > this.#options.maxLines) {
      this.#note(null, 'too_many_requests', `The file has more than ${this.#options.maxLines} requests; that is the limit`, null)
      return null
    }
    try {
      return this.#read(number, this.#parse(text))
    } catch (thrown) {
      if (!(thrown instanceof LineProblem)) throw thrown
      this.#note(number, thrown.code, thrown.message, thrown.param)
      return null
    }
  }

  /** To be called after the last line. */
  end (): void {
    if (this.#count === 0) this.#note(null, 'empty_file', 'The input file has no requests', null)
  }

  /** For a line that cannot be taken. */
  noteTooLong (number: number, longest: number): void {
    this.#note(number, 'line_too_long', `This line is longer than ${longest} characters; that is the limit`, null)
  }

  #note (line: number | null, code: string, message: string, param: string | null): void {
    if (this.#problems.length < mostProblems) this.#problems.push({ code, message, param, line })
  }

  #parse (text: string): unknown {
    try {
      return this.#options.parse(text)
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      throw new LineProblem('invalid_json_line', error.message, null)
    }
  }

  #read (line: number, value: unknown): NewLine {
    if (!isObject(value)) throw new LineProblem('invalid_json_line', 'This line is not a JSON object', null)
    const unknown = Object.keys(value).find((name) => !members.includes(name))
    if (unknown !== undefined) throw new LineProblem('unknown_parameter', `Unknown parameter: '${unknown.slice(0, 128)}'`, unknown.slice(0, 128))
    const { method, url, body } = value
    const customId = this.#readCustomId(value['custom_id'])
    if (method !== 'POST') throw wrong('method', method, 'invalid_method', 'The method must be "POST"')
    if (url !== this.#options.endpoint) throw wrong('url', url, 'invalid_url', `The URL must be the endpoint of the batch, "${this.#options.endpoint}"`)
    if (!isObject(body)) throw wrong('body', body, 'invalid_request', 'The body must be a JSON object')
    const { model } = body
    if (typeof model !== 'string' || model === '') throw wrong('body.model', model, 'invalid_request', 'The model must be a text')
    // What comes in pieces, or later, is no result for a file.
    for (const name of ['stream', 'background']) {
      if (body[name] != null && body[name] !== false) throw new LineProblem('invalid_request', `'${name}' cannot be used in a batch`, `body.${name}`)
    }
    this.#model ??= model
    return { line, customId: JSON.stringify(customId), request: JSON.stringify(body) }
  }

  #readCustomId (value: unknown): string {
    if (typeof value !== 'string' || value === '' || value.length > longestCustomId) {
      throw wrong('custom_id', value, 'invalid_custom_id', `The custom_id must be a text of 1 to ${longestCustomId} characters`)
    }
    if (this.#customIds.has(value)) throw new LineProblem('duplicate_custom_id', 'This custom_id is that of another request; each must have its own', 'custom_id')
    this.#customIds.add(value)
    return value
  }
}

class LineProblem extends Error {
  readonly code: string
  readonly param: string | null

  constructor (code: string, message: string, param: string | null) {
    super(message)
    this.code = code
    this.param = param
  }
}

const wrong = (param: string, value: unknown, code: string, message: string): LineProblem => value === undefined
  ? new LineProblem('missing_required_parameter', `Missing required parameter: '${param}'`, param)
  : new LineProblem(code, message, param)

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
