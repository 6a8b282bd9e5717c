import { once } from 'node:events'
import { createServer } from 'node:net'
import { describeListenError } from '../listen-error.ts'
import type { Finding } from './finding.ts'

export interface PortCheck {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
  readonly sourceOf: (flag: string) => string
}

const answerTimeoutMs = 2000

/** Whether the server could listen where it is to; another one of this kind that does already is no problem. */
export async function checkPort ({ host, port, isTls, sourceOf }: PortCheck): Promise<Finding> {
  const address = `${isTls ? 'https' : 'http'}://${host}:${port}`
  const server = createServer()
  try {
    server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port })
    await once(server, 'listening')
    return { about: 'address', state: 'ok', text: `${address} is free` }
  } catch (error) {
    if (!isTls && (error as NodeJS.ErrnoException).code === 'EADDRINUSE' && await isServed(host, port)) {
      return { about: 'address', state: 'warning', text: `${address} is in use by a server that answers /health; it must go before another one starts` }
    }
    const described = describeListenError(error, { host, port, hostSource: sourceOf('host'), portSource: sourceOf('port') })
    return { about: 'address', state: 'problem', text: (described as Error).message }
  } finally {
    server.close()
  }
}

async function isServed (host: string, port: number): Promise<boolean> {
  const reached = { '0.0.0.0': '127.0.0.1', '::': '[::1]', '[::]': '[::1]' }[host] ?? host
  try {
    const response = await fetch(`http://${reached}:${port}/health`, { signal: AbortSignal.timeout(answerTimeoutMs) })
    return JSON.stringify(await response.json()) === '{"status":"ok"}'
  } catch {
    return false
  }
}
