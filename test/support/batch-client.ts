import type { FastifyInstance } from 'fastify'
import type OpenAI from 'openai'
import { waitUntil } from './server-process.ts'

export interface ResultLine {
  readonly id: string
  readonly custom_id: string
  readonly response: { readonly status_code: number, readonly request_id: string, readonly body: { readonly id?: string, readonly error?: { readonly code: string }, readonly choices?: readonly { readonly message: { readonly content: string } }[] } } | null
  readonly error: { readonly code: string } | null
}

export type BatchBody = Record<Exclude<keyof OpenAI.Batch, 'request_counts'>, unknown> & {
  readonly id: string,
  readonly status: string,
  readonly output_file_id: string | null,
  readonly error_file_id: string | null
  readonly errors: { readonly data: readonly OpenAI.BatchError[] } | null
  readonly request_counts: OpenAI.BatchRequestCounts
}

/** A chat for each prompt, whose custom ids are their numbers. */
export const chatLines = (model: string, prompts: readonly string[], options: object = {}): string => prompts.map((content, index) => `${JSON.stringify({
  custom_id: `line-${index}`, method: 'POST', url: '/v1/chat/completions', body: { model, messages: [{ role: 'user', content }], ...options }
})}\n`).join('')

/** A form with a file. */
export function toForm (content: string | Buffer, fields: Readonly<Record<string, string>> = { purpose: 'batch' }, filename = 'input.jsonl') {
  const boundary = 'boundary-of-a-test'
  const part = (disposition: string): string => `--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    payload: Buffer.concat([
      ...Object.entries(fields).map(([name, value]) => Buffer.from(`${part(`name="${name}"`)}${value}\r\n`)),
      Buffer.from(part(`name="file"; filename="${filename}"`)), Buffer.from(content), Buffer.from(`\r\n--${boundary}--\r\n`)
    ])
  }
}

/** Speaks to an app of this process about batches. */
export class BatchClient {
  readonly #app: FastifyInstance
  readonly #headers: Record<string, string>

  constructor (app: FastifyInstance, key?: string) {
    this.#app = app
    this.#headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
  }

  async upload (content: string | Buffer, fields?: Readonly<Record<string, string>>, filename?: string) {
    const { headers, payload } = toForm(content, fields, filename)
    const response = await this.#app.inject({ method: 'POST', url: '/v1/files', payload, headers: { ...this.#headers, ...headers } })
    return { status: response.statusCode, body: response.json<Record<string, unknown> & { readonly id: string, readonly error?: { readonly code: string, readonly param: string | null } }>() }
  }

  async ask<Body = BatchBody> (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object): Promise<{ readonly status: number, readonly body: Body }> {
    const response = await this.#app.inject({ method, url, headers: this.#headers, ...(payload === undefined ? {} : { payload }) })
    return { status: response.statusCode, body: response.json<Body>() }
  }

  async create (content: string, options: object = {}): Promise<string> {
    const { body: { id: file } } = await this.upload(content)
    const { status, body } = await this.ask('POST', '/v1/batches', { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', ...options })
    if (status !== 200) throw new Error(JSON.stringify(body))
    return body.id
  }

  async get (id: string): Promise<BatchBody> {
    return (await this.ask('GET', `/v1/batches/${id}`)).body
  }

  /** Waits until there is nothing left to do. */
  async untilEnded (id: string): Promise<BatchBody> {
    let batch = await this.get(id)
    await waitUntil(async () => {
      batch = await this.get(id)
      return ['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)
    }, 'the end of the batch')
    return batch
  }

  async lines (file: string | null): Promise<ResultLine[]> {
    if (file === null) return []
    const { body, headers } = await this.#app.inject({ url: `/v1/files/${file}/content`, headers: this.#headers })
    if (Number(headers['content-length']) !== Buffer.byteLength(body)) throw new Error('The file has another length than it says')
    return body.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as ResultLine)
  }
}
