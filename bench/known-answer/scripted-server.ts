import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

/** What becomes of one request. Times are in ms since it arrived. */
export interface Script {
  readonly ttftMs: number
  /** Between two chunks of one token each. */
  readonly gapMs: number
  readonly tokens: number
  /** How it goes wrong, after half of its tokens (`http 500` and `refused` at once). */
  readonly fault?: 'http 500' | 'too many requests' | 'error in stream' | 'cut off' | 'reset' | 'stall' | 'no usage'
}

/**
 * An OpenAI-compatible server that says nothing and whose times are known: chunk k of a stream leaves at `ttft + k * gap`. It asks
 * the clock in every turn of the event loop when a moment is near, because timers come up to a millisecond late.
 */
export class ScriptedServer implements AsyncDisposable {
  readonly #server: Server
  readonly #scriptOf: (request: number, body: Record<string, unknown>) => Script
  #requests = 0
  /** When each request's chunks were truly written, in ms since it arrived, by order of arrival. */
  readonly written: number[][] = []
  /** Bodies in order of arrival, warm-ups and probes included. */
  readonly bodies: Record<string, unknown>[] = []
  /** `authorization` headers in order of arrival. */
  readonly keys: (string | undefined)[] = []

  private constructor (scriptOf: (request: number, body: Record<string, unknown>) => Script) {
    this.#scriptOf = scriptOf
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error))
    })
  }

  /** @param scriptOf gets the number of the request, 0-based in order of arrival, and its body. */
  static async start (scriptOf: (request: number, body: Record<string, unknown>) => Script): Promise<ScriptedServer> {
    const server = new ScriptedServer(scriptOf)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  /** Base URL, with the version. */
  get url (): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('A TCP server has a port')
    return `http://127.0.0.1:${address.port}/v1`
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedAt = performance.now()
    if (request.url === '/v1/models') {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ object: 'list', data: [{ id: 'scripted' }] }))
      return
    }
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    if (request.method !== 'POST') {
      response.writeHead(404).end()
      return
    }
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>
    const number = this.#requests++
    const written: number[] = []
    this.written[number] = written
    this.bodies[number] = body
    this.keys[number] = request.headers.authorization
    const script = this.#scriptOf(number, body)
    await answer(script, body, response, arrivedAt, written)
  }
}

async function answer (script: Script, body: Record<string, unknown>, response: ServerResponse, arrivedAt: number, written: number[]): Promise<void> {
  const { ttftMs, gapMs, tokens, fault } = script
  if (fault === 'http 500' || fault === 'too many requests') {
    const [status, code] = fault === 'http 500' ? [500, 'engine_error'] : [429, 'queue_full']
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message: 'As scripted', type: 'server_error', code } }))
    return
  }
  const usage = { prompt_tokens: promptTokens(body), completion_tokens: tokens, total_tokens: promptTokens(body) + tokens }
  const isChat = 'messages' in body
  if (body['stream'] !== true) {
    await moment(arrivedAt + ttftMs + (tokens - 1) * gapMs)
    const text = 'word '.repeat(tokens)
    response.setHeader('content-type', 'application/json').end(JSON.stringify({
      choices: [{ index: 0, ...(isChat ? { message: { role: 'assistant', content: text } } : { text }), finish_reason: 'length' }], usage
    }))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const send = (chunk: object, onWritten?: () => void): void => { response.write(`data: ${JSON.stringify(chunk)}\n\n`, onWritten) }
  for (let token = 0; token < tokens; token++) {
    await moment(arrivedAt + ttftMs + token * gapMs)
    if (fault !== undefined && token >= tokens / 2 && breakOff(fault, response, send)) return
    send({ choices: [{ index: 0, ...(isChat ? { delta: { content: 'word ' } } : { text: 'word ' }), finish_reason: null }] },
      // Called when the system has it: what the process did in between is not on the way yet.
      () => written.push(performance.now() - arrivedAt))
  }
  send({ choices: [{ index: 0, ...(isChat ? { delta: {} } : { text: '' }), finish_reason: 'length' }] })
  if (fault !== 'no usage') send({ choices: [], usage })
  response.end('data: [DONE]\n\n')
}

/** @returns whether that was the end. */
function breakOff (fault: NonNullable<Script['fault']>, response: ServerResponse, send: (chunk: object) => void): boolean {
  switch (fault) {
    case 'error in stream':
      send({ error: { message: 'As scripted', type: 'server_error', code: 'engine_crashed' } })
      response.end()
      return true
    case 'cut off':
      response.end()
      return true
    case 'reset':
      response.destroy()
      return true
    // Until the client gives up.
    case 'stall': return true
    default: return false
  }
}

/** One token for each word, as exact as a tokenizer of our own would be. */
function promptTokens (body: Record<string, unknown>): number {
  const messages = (body['messages'] ?? [{ content: body['prompt'] }]) as readonly { readonly content?: unknown }[]
  return messages.reduce((sum, { content }) => sum + String(content).split(/\s+/).filter(Boolean).length, 0)
}

async function moment (at: number): Promise<void> {
  const wait = at - performance.now() - 2
  if (wait > 1) await delay(wait)
  while (performance.now() < at) await nextTurn()
}
