import fastifyPlugin from 'fastify-plugin'

/**
 * What keeps answers from being more to a browser than the data that they are. Pages among them bring their own
 * `content-security-policy`. There is no `strict-transport-security`: it would hold for every port of this host's name, and so for
 * programs that this server knows nothing of.
 */
export const securityHeadersPlugin = fastifyPlugin(async (app) => {
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-content-type-options', 'nosniff')
    reply.header('x-frame-options', 'DENY')
    reply.header('referrer-policy', 'no-referrer')
    reply.header('cache-control', 'no-store')
  })
  app.addHook('onSend', async (_request, reply) => {
    const type = reply.getHeader('content-type')
    if (typeof type === 'string' && type.startsWith('text/html')) return
    reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
  })
}, { name: 'security-headers' })
