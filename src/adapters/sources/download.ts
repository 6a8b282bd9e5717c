import { lookup } from 'node:dns'
import { createWriteStream } from 'node:fs'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { ServerError } from '../../domain/errors.ts'
import { urlProblem } from './allow-list.ts'
import { isPublicAddress } from './public-address.ts'

export interface DownloadOptions {
  readonly signal: AbortSignal
  readonly maxSizeBytes: number
  /** Whether a server may be on this machine or its network: the operator has named it. */
  readonly trusts: (url: URL) => boolean
  /** Sent to the first server, and not where it redirects to. */
  readonly token?: string | undefined
}

const mostRedirects = 5
/** A server that sends nothing for this long has gone. */
const silenceMs = 30_000

/** @throws ServerError `invalid_adapter`, `adapter_not_found` */
export async function downloadFile (url: URL, path: string, options: DownloadOptions): Promise<void> {
  const response = await open(url, options)
  await pipeline(response, limitSize(url, options.maxSizeBytes), createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal: options.signal })
    .catch((error: unknown) => { throw failure(url, error, options.signal) })
}

/** A short JSON document. @throws ServerError as {@link downloadFile}; what it holds is for the caller to check */
export async function downloadJson (url: URL, options: Omit<DownloadOptions, 'maxSizeBytes'>): Promise<unknown> {
  const maxSizeBytes = 16 * 1024 * 1024
  const response = await open(url, { ...options, maxSizeBytes })
  const parts: Buffer[] = []
  try {
    for await (const part of limitSize(url, maxSizeBytes)(response)) parts.push(part)
    return JSON.parse(Buffer.concat(parts).toString())
  } catch (error) {
    throw failure(url, error, options.signal)
  }
}

async function open (first: URL, options: DownloadOptions): Promise<IncomingMessage> {
  let url = first
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const problem = urlProblem(url)
    if (problem !== null) throw new ServerError('invalid_adapter', `${shown(first)} leads to ${shown(url)}, but an address ${problem}`)
    const response = await send(url, options, url.origin === first.origin ? options.token : undefined)
      .catch((error: unknown) => { throw failure(url, error, options.signal) })
    const { statusCode = 0, headers: { location } } = response
    if (statusCode === 200) {
      checkLength(url, response, options.maxSizeBytes)
      return response
    }
    response.destroy()
    if (statusCode < 300 || statusCode > 399 || location === undefined) {
      const code = statusCode === 404 ? 'adapter_not_found' : 'invalid_adapter'
      throw new ServerError(code, `${shown(url)} was answered with the status ${statusCode}`)
    }
    if (!URL.canParse(location, url.href)) throw new ServerError('invalid_adapter', `${shown(url)} redirects to something that is no address`)
    url = new URL(location, url)
  }
  throw new ServerError('invalid_adapter', `${shown(first)} redirects more than ${mostRedirects} times`)
}

async function send (url: URL, { trusts, signal }: DownloadOptions, token: string | undefined): Promise<IncomingMessage> {
  const isTrusted = trusts(url)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  // An address in the URL is not looked up.
  if (!isTrusted && isIP(host) !== 0 && !isPublicAddress(host)) throw privateAddress(url, host)
  const request = url.protocol === 'http:' ? requestHttp : requestHttps
  return await new Promise((resolve, reject) => {
    const sent = request(url, {
      signal,
      // A connection of its own, to the very address that was checked.
      agent: false,
      timeout: silenceMs,
      headers: { 'user-agent': 'drawbridge', 'accept-encoding': 'identity', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      ...(isTrusted ? {} : { lookup: publicLookup(url) })
    }, resolve)
    sent.on('timeout', () => sent.destroy(new ServerError('invalid_adapter', `${shown(url)} sent nothing for ${silenceMs} ms`)))
    sent.on('error', reject)
    sent.end()
  })
}

/** Looks a name up for a connection, and refuses it when it leads inside. */
const publicLookup = (url: URL): LookupFunction => (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    const inside = error === null ? addresses.find(({ address }) => !isPublicAddress(address)) : undefined
    const problem = inside === undefined ? error : privateAddress(url, inside.address)
    const [first] = addresses ?? []
    if (problem !== null) done(problem, '')
    else if (options.all === true) done(null, addresses)
    else done(null, first?.address ?? '', first?.family)
  })
}

const privateAddress = (url: URL, address: string): ServerError =>
  new ServerError('invalid_adapter', `${shown(url)} is at ${address}, which is not on the public internet, and --adapter-fetch does not name it`)

function checkLength (url: URL, { headers }: IncomingMessage, maxSizeBytes: number): void {
  const length = Number(headers['content-length'] ?? 0)
  if (length > maxSizeBytes) throw tooLarge(url, `has ${length} bytes`, maxSizeBytes)
}

/** The length that a server tells may be missing or wrong. */
const limitSize = (url: URL, maxSizeBytes: number) => async function * (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const part of source) {
    bytes += part.length
    if (bytes > maxSizeBytes) throw tooLarge(url, 'has more bytes', maxSizeBytes)
    yield part
  }
}

const tooLarge = (url: URL, what: string, maxSizeBytes: number): ServerError =>
  new ServerError('invalid_adapter', `${shown(url)} ${what}; the limit is ${maxSizeBytes} (--adapter-max-size)`)

/** What is after the question mark may be a signature. */
const shown = ({ origin, pathname }: URL): string => `${origin}${pathname}`

function failure (url: URL, error: unknown, signal: AbortSignal): ServerError {
  if (error instanceof ServerError) return error
  if (signal.aborted) return new ServerError('request_aborted', 'The download was given up')
  return new ServerError('invalid_adapter', `${shown(url)} cannot be downloaded: ${(error as Error).message}`, { cause: error })
}
