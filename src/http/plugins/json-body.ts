import { isUtf8 } from 'node:buffer'
import fastifyPlugin from 'fastify-plugin'
import { ServerError } from '../../domain/errors.ts'
import { type JsonLimits, hasMoreJsonThan } from './has-more-json-than.ts'

/**
 * Far above what the largest conversations and the most tools have. A body is read in one go, while nobody else is served: so many
 * members, or items, take some 40 ms.
 */
export const jsonLimits: JsonLimits = { parts: 50_000, commas: 1_000_000 }

/** Where and why a text is not JSON, in V8's words; null when it is. */
function syntaxErrorOf (text: string): string | null {
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    return (error as Error).message
  }
}

/**
 * Reads JSON bodies as Fastify does, members that would poison prototypes refused, and tells what is wrong with those that
 * cannot be read. Fastify would read `text/plain` as well, as a string that no route takes.
 */
export const jsonBodyPlugin = fastifyPlugin(async (app) => {
  app.removeContentTypeParser('text/plain')
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity') {
      done(new ServerError('unsupported_media_type', `The request body is encoded with ${encoding}; send it as it is`))
      return
    }
    // Decoding would put U+FFFD in the place of what the client meant.
    if (!isUtf8(bytes)) {
      done(new ServerError('invalid_json', 'The request body is not valid UTF-8'))
      return
    }
    if (hasMoreJsonThan(bytes, jsonLimits)) {
      done(new ServerError('invalid_value', `The request body has more than ${jsonLimits.parts} members, objects and lists, or more than ${jsonLimits.commas} items; these are the limits`))
      return
    }
    const body = bytes.toString()
    return parse(request, body, (error, value) => {
      if (error === null || body === '') {
        done(error, value)
        return
      }
      const reason = syntaxErrorOf(body) ?? 'members called "__proto__" or "constructor" are not allowed'
      done(new ServerError('invalid_json', `The request body is not valid JSON: ${reason}`))
    })
  })
}, { name: 'json-body' })
