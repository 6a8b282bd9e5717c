import type { Millis } from '../domain/ids.ts'
import { StartupError } from '../domain/startup-error.ts'
import { checkHeaders } from './check-headers.ts'
import { Connections, type Answer, type ExchangeLimits } from './client/exchange.ts'
import { statusFailure } from './client/failure.ts'
import type { Assignment } from './load/run-load.ts'
import { sampleMetrics, type MetricsSample } from './measure/server-metrics.ts'
import type { BenchOptions, ServerOptions } from './parse-options.ts'
import { withoutControls } from './report/terminal.ts'
import type { Turn } from './workload/workload.ts'

/** A server under test: what it is called, what it is asked for, and how. */
export class BenchServer implements Disposable {
  readonly label: string
  readonly url: URL
  /** Those that requests are spread over. */
  readonly models: readonly string[]
  readonly #apiKey: string | null
  readonly #options: BenchOptions
  readonly #limits: ExchangeLimits
  readonly #connections: Connections

  private constructor (server: ServerOptions, models: readonly string[], options: BenchOptions) {
    this.label = server.label
    this.url = server.url
    this.models = models
    this.#apiKey = server.apiKey
    this.#options = options
    this.#limits = { timeoutMs: options.timeoutMs, stallTimeoutMs: options.stallTimeoutMs }
    this.#connections = new Connections(server.url)
  }

  /**
   * Asks for the list of models where none was named.
   * @throws StartupError when that fails, and for headers and keys that cannot be sent.
   */
  static async connect (server: ServerOptions, options: BenchOptions, signal: AbortSignal): Promise<BenchServer> {
    checkHeaders(server, options)
    const named = options.models ?? (server.model === null ? null : [server.model])
    const apiKey = server.apiKey ?? options.tenants[0]?.apiKey ?? null
    const models = named ?? [await firstModel(server.url, { ...options.headers, ...authorization(apiKey) }, signal)]
    return new BenchServer(server, models, options)
  }

  /** Sends one request and times its answer. Rejects only when the signal fires. */
  readonly send = async (turn: Turn, { model, tenant }: Assignment, signal: AbortSignal): Promise<Answer> => {
    const { isStreaming, temperature, extraBody, modelBodies } = this.#options
    const body = {
      temperature,
      ...turn.body,
      ...extraBody,
      model,
      ...modelBodies.get(model),
      ...(isStreaming ? { stream: true, stream_options: { include_usage: true } } : { stream: false })
    }
    const path = 'messages' in turn.body ? 'chat/completions' : 'completions'
    return await this.#connections.exchange({
      url: new URL(`${this.url.pathname}/${path}${this.url.search}`, this.url),
      headers: { 'content-type': 'application/json', ...this.#options.headers, ...authorization(tenant?.apiKey ?? this.#apiKey) },
      body: JSON.stringify(body),
      isStreaming
    }, this.#limits, now, signal)
  }

  async sampleMetrics (): Promise<MetricsSample | null> {
    const apiKey = this.#apiKey ?? this.#options.tenants[0]?.apiKey ?? null
    return await sampleMetrics(this.url, { ...this.#options.headers, ...authorization(apiKey) })
  }

  [Symbol.dispose] (): void { this.#connections[Symbol.dispose]() }
}

/** Longest wait for the list of models. */
const modelsTimeoutMs = 10_000

export const now = (): Millis => performance.now()

const authorization = (apiKey: string | null): Record<string, string> => apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }

async function firstModel (url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string> {
  const list = new URL(`${url.pathname}/models${url.search}`, url)
  // Node 20 collects an `AbortSignal.timeout` that nothing but an `AbortSignal.any` holds.
  const controller = new AbortController()
  const stop = (): void => controller.abort()
  const timeout = setTimeout(() => controller.abort(new Error(`nothing came for ${modelsTimeoutMs / 1000} s`)), modelsTimeoutMs)
  signal.addEventListener('abort', stop, { once: true })
  let response: Response
  let text: string
  try {
    response = await fetch(list, { headers, signal: controller.signal })
    text = await response.text()
  } catch (error) {
    signal.throwIfAborted()
    const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException }
    throw new StartupError(`No server answers at ${url.href}: ${cause?.code ?? cause?.message ?? message}`, { cause: error })
  } finally {
    clearTimeout(timeout)
    signal.removeEventListener('abort', stop)
  }
  if (!response.ok) throw new StartupError(`${list.href} answers ${response.status}: ${withoutControls(statusFailure(response.status, text).message)}`)
  let id: unknown
  try {
    id = (JSON.parse(text) as { data?: readonly { id?: unknown }[] } | null)?.data?.[0]?.id
  } catch { /* The same message as for a list without models. */ }
  if (typeof id !== 'string') throw new StartupError(`${list.href} lists no model; name one with --model`)
  return id
}
