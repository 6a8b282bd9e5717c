import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'

/**
 * Lets `app.close()` end as soon as the last answer is complete.
 *
 * Node closes connections that idle between two requests when closing begins. Those that become idle later would stay
 * until their keep-alive runs out, and those that have not sent a request yet, which browsers and pooling clients open in
 * advance, until the time for sending headers is over.
 */
export const closeIdlePlugin = fastifyPlugin(async (app) => {
  /** Requests that each open connection has not had its answer to. */
  const unanswered = new Map<Socket, number>()
  let isClosing = false

  const closeIfIdle = (socket: Socket): void => {
    if (isClosing && unanswered.get(socket) === 0) socket.destroySoon()
  }

  app.server.on('connection', (socket) => {
    unanswered.set(socket, 0)
    socket.once('close', () => unanswered.delete(socket))
    closeIfIdle(socket)
  })

  app.server.on('request', ({ socket }, response) => {
    unanswered.set(socket, (unanswered.get(socket) ?? 0) + 1)
    response.once('close', () => {
      if (!unanswered.has(socket)) return
      unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1)
      closeIfIdle(socket)
    })
  })

  app.addHook('preClose', async () => {
    isClosing = true
    for (const socket of [...unanswered.keys()]) closeIfIdle(socket)
  })
}, { name: 'close-idle' })
