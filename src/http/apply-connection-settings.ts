import type { Server } from 'node:http'
import type { HttpConfig } from './services.ts'

/** Holds for connections that come from now on, and for the next pause of those that are there. */
export function applyConnectionSettings (server: Pick<Server, 'keepAliveTimeout' | 'maxConnections'>, { idleTimeoutMs, maxConnections }: Pick<HttpConfig, 'idleTimeoutMs' | 'maxConnections'>): void {
  server.keepAliveTimeout = idleTimeoutMs
  server.maxConnections = maxConnections === 'off' ? Infinity : maxConnections
}
