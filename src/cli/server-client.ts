import { z } from 'zod'
import { StartupError } from '../domain/startup-error.ts'

/** Options of the commands that talk to a server. */
export const clientOptions = {
  url: { type: 'string', default: 'http://127.0.0.1:8080' },
  'api-key': { type: 'string' }
} as const

export const clientUsage = '[--url URL] [--api-key KEY]'

export interface ServerClient {
  /** @throws StartupError when there is no answer, or the server refuses, in its words */
  request (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown>
}

const errorSchema = z.object({ error: z.object({ message: z.string() }) })

/** @param options the key may also come from `DRAWBRIDGE_ADMIN_KEY`, where other users of the machine do not see it */
export function createServerClient (options: { readonly url: string, readonly 'api-key'?: string | undefined }, environment: NodeJS.ProcessEnv = process.env): ServerClient {
  const { url } = options
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new StartupError(`--url is "${url}", but must be an address such as http://127.0.0.1:8080`)
  const base = url.replace(/\/+(?:v1\/*)?$/, '')
  const apiKey = options['api-key'] ?? environment['DRAWBRIDGE_ADMIN_KEY']?.split(',')[0]
  return {
    async request (method, path, body) {
      let response: Response
      let answer: unknown
      try {
        response = await fetch(`${base}${path}`, {
          method,
          headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }) },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        answer = await response.json()
      } catch (error) {
        const { cause, message } = error as Error
        throw new StartupError(`${base} gives no answer: ${cause instanceof Error && cause.message !== '' ? cause.message : message}`, { cause: error })
      }
      if (response.ok) return answer
      const refusal = errorSchema.safeParse(answer)
      throw new StartupError(refusal.success ? refusal.data.error.message : `${base} answered with the status ${response.status}`)
    }
  }
}

/** @throws StartupError when the other side is no such server */
export function readAnswer<Schema extends z.ZodType> (schema: Schema, answer: unknown): z.output<Schema> {
  const result = schema.safeParse(answer)
  if (result.success) return result.data
  throw new StartupError('The server\'s answer is none of a Drawbridge of this version', { cause: result.error })
}
