import fastifyPlugin from 'fastify-plugin'
import type { HttpServices } from '../services.ts'

const quietMs = 60_000

/** Connections beyond the limit are closed as they come. The log says so, though not for each of them. */
export const connectionLimitPlugin = fastifyPlugin<Pick<HttpServices, 'config' | 'logger' | 'now'>>(async (app, { config, logger, now }) => {
  if (config.maxConnections === 'off') return
  app.server.maxConnections = config.maxConnections
  let lastToldAt = -Infinity
  let droppedCount = 0
  app.server.on('drop', () => {
    droppedCount++
    if (now() - lastToldAt < quietMs) return
    logger.warn({ maxConnections: config.maxConnections, dropped: droppedCount }, 'too many connections, new ones are closed')
    lastToldAt = now()
    droppedCount = 0
  })
}, { name: 'connection-limit' })
