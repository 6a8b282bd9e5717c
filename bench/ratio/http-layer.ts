import type { Layer, LayerOptions, RunOptions } from './layer.ts'

/** A client of the server: reads its event streams as they come, and looks into them when the clock has stopped. */
export const createHttpLayer = (options: LayerOptions): Layer => new HttpLayer(options)

class HttpLayer implements Layer {
  readonly #options: LayerOptions

  constructor (options: LayerOptions) {
    this.#options = options
  }

  async run ({ streams, tokens }: RunOptions): Promise<() => readonly string[]> {
    const bodies = await Promise.all(Array.from({ length: streams }, async () => await this.#stream(tokens)))
    return () => bodies.map((body) => textOf(body, tokens))
  }

  async #stream (tokens: number): Promise<string> {
    const { url, prompt } = this.#options
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'demo', prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, stream: true, stream_options: { include_usage: true }
      }),
      signal: AbortSignal.timeout(600_000)
    })
    if (response.status !== 200 || response.body === null) throw new Error(`Status ${response.status}: ${await response.text()}`)
    const chunks: Uint8Array[] = []
    for await (const chunk of response.body) chunks.push(chunk as Uint8Array)
    return Buffer.concat(chunks).toString()
  }

  async [Symbol.asyncDispose] (): Promise<void> {}
}

interface Chunk {
  readonly choices: readonly { readonly text: string }[]
  readonly usage?: { readonly completion_tokens: number } | null
}

function textOf (body: string, expected: number): string {
  const events = body.split('\n\n').filter((event) => event.startsWith('data: ')).map((event) => event.slice(6))
  if (events.at(-1) !== '[DONE]') throw new Error(`A stream ended without [DONE]: ${body.slice(-300)}`)
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event) as Chunk)
  const tokens = chunks.at(-1)?.usage?.completion_tokens
  if (tokens !== expected) throw new Error(`A stream of ${expected} tokens ended after ${tokens}`)
  return chunks.flatMap(({ choices }) => choices.map(({ text }) => text)).join('')
}
