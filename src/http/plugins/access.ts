import type { IncomingHttpHeaders } from 'node:http'
import fastifyPlugin from 'fastify-plugin'
import { userHeader } from '../../access/access.ts'
import { isLoopback } from '../../config/check-config.ts'
import { AddressRanges } from '../../domain/address-ranges.ts'
import { clientAddress } from '../client-address.ts'
import { internalHeader } from '../internal-requests.ts'
import { checkScopes } from '../needs.ts'
import { refuseKnown } from '../reserve-run.ts'
import { noteRouteAction } from '../note-action.ts'
import type { HttpServices } from '../services.ts'
import { singleHeader } from '../single-header.ts'

/** What proxies, tunnels and content networks add to the requests that they pass on. */
const proxyHeader = /^(?:forwarded|via|x-forwarded.*|x-original-.*|x-envoy-.*|x-(?:real|client|cluster-client)-ip|true-client-ip|(?:cf|fastly|fly)-.*|x-arr-.*|x-amzn-.*)$/

/** Pages say where they are from; one whose name was made to lead here is not of this machine either. */
function isDirect (headers: IncomingHttpHeaders): boolean {
  const { origin } = headers
  const isFromHere = origin === undefined || (URL.canParse(origin) && isLoopback(new URL(origin).hostname))
  return isFromHere && !Object.keys(headers).some((name) => proxyHeader.test(name))
}

/** The ranges of the proxies that are trusted now: the settings may change while the server runs. */
function createTrustedRanges (config: HttpServices['config']): () => AddressRanges {
  let { trustedProxies } = config
  let ranges = new AddressRanges(trustedProxies)
  return () => {
    if (config.trustedProxies !== trustedProxies) {
      ({ trustedProxies } = config)
      ranges = new AddressRanges(trustedProxies)
    }
    return ranges
  }
}

/** Finds out who asks, before anything else of the request is looked at. Unknown paths are behind the keys as well. */
export const accessPlugin = fastifyPlugin<HttpServices>(async (app, services) => {
  const { access, config, internalRequests } = services
  const findTrusted = createTrustedRanges(config)
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.isPublic === true) return
    const context = request.requestContext
    const internal = internalRequests.take(singleHeader(request.headers[internalHeader]))
    if (internal !== null) {
      context.caller = internal.caller
      if (internal.signal.aborted) context.cancellation.abort()
      else internal.signal.addEventListener('abort', () => context.cancellation.abort(), { once: true })
      checkScopes(request)
      return
    }
    const trusted = findTrusted()
    // Node joins headers of the same name.
    const forwardedFor = request.headers['x-forwarded-for'] as string | undefined
    context.caller = await access.identify({
      authorization: request.headers.authorization,
      xApiKey: singleHeader(request.headers['x-api-key']),
      address: clientAddress(request.ip, forwardedFor, trusted),
      // A proxy is one whether or not it says so: through one on this machine, others would pass for programs of this machine.
      isDirect: !trusted.includes(request.ip) && isDirect(request.headers),
      user: singleHeader(request.headers[userHeader])
    })
    if (request.is404) return
    noteRouteAction(request)
    checkScopes(request)
    if (request.routeOptions.config.isLimited === true) refuseKnown(request.requestContext, services)
  })
}, { name: 'access' })
