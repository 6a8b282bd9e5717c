import autocannon from 'autocannon'

export interface LoadRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
}

export interface LoadOptions {
  readonly url: string
  readonly request: LoadRequest
  readonly connections: number
  /** Requests to make in all, at least one per connection. */
  readonly amount: number
  /** The load is cut off after this time; what had not been answered by then does not count. */
  readonly limitMs: number
  readonly signal: AbortSignal
}

export interface LoadResult {
  readonly requests: number
  /** From the first request to the last answer. */
  readonly seconds: number
  /** Ascending, in milliseconds, from sending a request to the last byte of its answer. */
  readonly latenciesMs: Float64Array
  /** Answers that were not 2xx, and connections that failed or timed out. */
  readonly errors: number
  readonly bytes: number
}

/**
 * Puts load on a server from this process: every connection sends its next request when the last one is answered.
 *
 * autocannon's own statistics have a resolution of one millisecond, and it stops its clock at the next full second, so
 * the latencies and the duration are taken from its events.
 *
 * @throws the signal's reason when it fired.
 */
export async function putLoad (options: LoadOptions): Promise<LoadResult> {
  const { request, signal } = options
  signal.throwIfAborted()
  const latencies: number[] = []
  let errors = 0
  let bytes = 0
  let startedAt = performance.now()
  let endedAt = startedAt

  let cleanUp = (): void => {}
  await new Promise<void>((resolve, reject) => {
    startedAt = performance.now()
    const instance = autocannon({
      url: `${options.url}${request.path}`,
      method: request.method,
      ...(request.body === undefined ? {} : { body: request.body, headers: { 'content-type': 'application/json' } }),
      connections: options.connections,
      amount: options.amount,
      timeout: 60,
      sampleInt: 50
    }, (error: unknown) => {
      if (error === null || error === undefined) resolve()
      else reject(new Error('autocannon failed', { cause: error }))
    })
    instance.on('response', (_client, statusCode, responseBytes, responseTime) => {
      endedAt = performance.now()
      bytes += responseBytes
      if (statusCode >= 200 && statusCode < 300) latencies.push(responseTime)
      else errors++
    })
    instance.on('reqError', () => { errors++ })
    const stop = (): void => { instance.stop() }
    const limit = setTimeout(stop, options.limitMs)
    signal.addEventListener('abort', stop, { once: true })
    cleanUp = () => {
      clearTimeout(limit)
      signal.removeEventListener('abort', stop)
    }
  }).finally(() => cleanUp())
  signal.throwIfAborted()
  return {
    requests: latencies.length,
    seconds: (endedAt - startedAt) / 1000,
    latenciesMs: Float64Array.from(latencies).sort(),
    errors,
    bytes
  }
}
