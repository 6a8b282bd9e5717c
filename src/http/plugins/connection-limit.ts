import fastifyPlugin from 'fastify-plugin'
import { applyConnectionSettings } from '../apply-connection-settings.ts'
import type { HttpServices } from '../services.ts'

const quietMs = 60_000

/** Connections beyond the limit are closed as they come. The log says so, though not for each of them. */
export const connectionLimitPlugin = fastifyPlugin<Pick<HttpServices, 'config' | 'logger' | 'now'>>(async (app, { config, logger, now }) => {
  applyConnectionSettings(app.server, config)
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
