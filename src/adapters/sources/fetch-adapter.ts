import path from 'node:path'
import { ServerError } from '../../domain/errors.ts'
import type { FetchAdapter } from '../adapter-registry.ts'
import { createAllowList, urlProblem } from './allow-list.ts'
import { downloadFile } from './download.ts'
import { downloadFromHuggingFace } from './hugging-face.ts'
import { takeLocalFile } from './local-files.ts'

export interface FetchAdapterOptions {
  /** The only place of which paths from the API and from the watched folder may be; null is none. */
  readonly directory: string | null
  /** What the API may have fetched. The operator's own options need no permission. */
  readonly allowed: readonly string[]
  readonly maxSizeBytes: number
  readonly huggingFaceEndpoint: URL
  readonly huggingFaceToken: string | undefined
}

const isAddress = (reference: string): boolean => /^(?:https?|hf):/i.test(reference)

/** Fetches adapters by the scheme of their reference: `https:`, `hf:`, or a path. */
export function createFetchAdapter (options: FetchAdapterOptions): FetchAdapter {
  const { directory, maxSizeBytes, huggingFaceEndpoint: endpoint, huggingFaceToken } = options
  const list = createAllowList(options.allowed, endpoint)

  return async ({ reference, origin }, { folder, signal }) => {
    if (!isAddress(reference)) {
      if (origin === 'option') return await takeLocalFile(reference, { folder, maxSizeBytes, jail: null })
      if (directory === null) throw new ServerError('permission_denied', `Paths can be loaded only where the server was started with --adapter-dir, and only from there; got ${reference}`)
      return await takeLocalFile(path.resolve(directory, reference), { folder, maxSizeBytes, jail: directory })
    }
    if (origin !== 'option' && !list.allows(reference)) {
      throw new ServerError('permission_denied', `${reference} may not be fetched: ${list.entries.length === 0 ? '--adapter-fetch names nothing' : `--adapter-fetch names only ${list.entries.join(', ')}`}`)
    }
    if (reference.startsWith('hf:')) {
      return await downloadFromHuggingFace(reference, { folder, signal, maxSizeBytes, endpoint, token: huggingFaceToken, trusts: list.trusts })
    }
    const url = URL.canParse(reference) ? new URL(reference) : null
    const problem = url === null ? 'must be a valid address' : urlProblem(url)
    if (url === null || problem !== null) throw new ServerError('invalid_value', `The adapter ${reference} ${problem}`)
    const trusts = (to: URL): boolean => list.trusts(to) || (origin === 'option' && to.origin === url.origin)
    const file = path.join(folder, 'adapter.gguf')
    await downloadFile(url, file, { signal, maxSizeBytes, trusts })
    return file
  }
}

/** A path as it is kept and shown: absolute. Addresses stay as they are. */
export const resolveReference = (reference: string, directory: string | null): string =>
  isAddress(reference) ? reference : path.resolve(directory ?? '.', reference)
