import type { FastifyInstance, HTTPMethods } from 'fastify'
import { ServerError } from '../../domain/errors.ts'
import { needs } from '../needs.ts'

const allMethods: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const preflightAdvice = '. Browsers ask before they let a page of another origin in; --cors-origin allows one'

/**
 * Answers the methods that a path does not have with a 405 that names those it has. Call `watch` before the routes are
 * added and `addRefusals` after.
 */
export function createMethodRefusals (app: FastifyInstance): { addRefusals: () => void } {
  const methodsByUrl = new Map<string, Set<string>>()
  let isDone = false
  app.addHook('onRoute', ({ url, method }) => {
    if (isDone) return
    const methods = methodsByUrl.get(url) ?? new Set()
    for (const name of [method].flat()) methods.add(name)
    methodsByUrl.set(url, methods)
  })

  return {
    addRefusals () {
      isDone = true
      for (const [url, methods] of methodsByUrl) {
        const missing = allMethods.filter((method) => !methods.has(method))
        if (url === '*' || missing.length === 0) continue
        const allowed = [...methods].join(', ')
        app.route({
          method: missing,
          url,
          exposeHeadRoute: false,
          config: { ...needs('any').config, isRefusal: true },
          // Before the body is read: whatever it is, it does not matter.
          onRequest: async (request, reply) => {
            reply.header('allow', allowed)
            throw new ServerError('method_not_allowed', `${request.method} is not allowed for ${url}; allowed: ${allowed}${request.method === 'OPTIONS' ? preflightAdvice : ''}`)
          },
          handler: async () => {}
        })
      }
    }
  }
}
