import { Server as NetServer, type Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import fastifyPlugin from 'fastify-plugin'
import type { HttpServices } from '../services.ts'

const endsOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

/** For requests that are on their way when another process takes over: what idles still after it is closed. */
const handOverMs = 1000

/**
 * Lets `app.close()` end as soon as the last answer is complete.
 *
 * Node closes connections that idle between two requests when closing begins. Those that become idle later would stay
 * until their keep-alive runs out, and those that have not sent a request yet, which browsers and pooling clients open in
 * advance, until the time for sending headers is over; with TLS, those that are still negotiating until that has its end.
 *
 * Where another process takes over, they are closed a little later: their clients may have sent requests that have not been read yet.
 */
export const closeIdlePlugin = fastifyPlugin<Pick<HttpServices, 'lifecycle'>>(async (app, { lifecycle }) => {
  /** Requests that each open connection has not had its answer to. */
  const unanswered = new Map<Socket, number>()
  /** By their two ends: connections that TLS has not made usable yet. It wraps their sockets in others. */
  const negotiating = new Map<string, Socket>()
  let isClosing = false

  const closeIfIdle = (socket: Socket): void => {
    if (isClosing && unanswered.get(socket) === 0) socket.destroySoon()
  }

  const follow = (socket: Socket): void => {
    unanswered.set(socket, 0)
    socket.once('close', () => unanswered.delete(socket))
    closeIfIdle(socket)
  }

  // What Fastify calls an HTTP server is one of HTTPS with TLS.
  if ((app.server as unknown) instanceof TlsServer) {
    app.server.on('connection', (socket) => {
      if (isClosing) {
        socket.destroy()
        return
      }
      const ends = endsOf(socket)
      negotiating.set(ends, socket)
      socket.once('close', () => { if (negotiating.get(ends) === socket) negotiating.delete(ends) })
    })
    app.server.on('secureConnection', (socket: Socket) => {
      negotiating.delete(endsOf(socket))
      follow(socket)
    })
  } else {
    app.server.on('connection', follow)
  }

  app.server.on('request', ({ socket }, response) => {
    unanswered.set(socket, (unanswered.get(socket) ?? 0) + 1)
    response.once('close', () => {
      if (!unanswered.has(socket)) return
      unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1)
      closeIfIdle(socket)
    })
  })

  const closeIdle = (): void => {
    isClosing = true
    for (const socket of negotiating.values()) socket.destroy()
    for (const socket of [...unanswered.keys()]) closeIfIdle(socket)
  }

  app.addHook('preClose', async () => closeIdle())

  lifecycle.onHandOver(async () => {
    const timer = setTimeout(closeIdle, handOverMs)
    // That of an HTTP server would close idle connections at once. A server that does not listen yet has none.
    await new Promise<void>((resolve) => NetServer.prototype.close.call(app.server, () => resolve()))
    clearTimeout(timer)
  })
}, { name: 'close-idle' })
