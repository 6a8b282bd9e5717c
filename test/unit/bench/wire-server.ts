import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** A request as it came over the wire. */
export interface WireRequest {
  /** 0-based, over all connections. */
  readonly number: number
  /** 0-based number of its connection. */
  readonly connection: number
  readonly head: string
  readonly body: string
  readonly socket: Socket
}

/** An HTTP server that leaves every byte of its responses to the test. */
export class WireServer implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly requests: WireRequest[] = []
  connections = 0

  private constructor (respond: (request: WireRequest) => void) {
    this.#server = createServer((socket) => {
      const connection = this.connections++
      this.#sockets.add(socket)
      let received = ''
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        received += bytes.toString('latin1')
        const end = received.indexOf('\r\n\r\n')
        const head = received.slice(0, end)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
        if (end === -1 || received.length < end + 4 + length) return
        const request = { number: this.requests.length, connection, head, body: received.slice(end + 4), socket }
        received = ''
        this.requests.push(request)
        respond(request)
      })
    })
  }

  static async start (respond: (request: WireRequest) => void): Promise<WireServer> {
    const server = new WireServer(respond)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    return server
  }

  get url (): URL {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('A TCP server has a port')
    return new URL(`http://127.0.0.1:${address.port}/v1/chat/completions`)
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }
}

/** One chunk of a chunked body. */
export const framed = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

export const streamHead = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
export const bodyEnd = '0\r\n\r\n'

/** A whole response whose length is told. */
export function response (status: number, headers: Readonly<Record<string, string>>, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body)
  const lines = Object.entries({ ...headers, 'content-length': String(bytes.length) }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} As Scripted\r\n${lines.join('')}\r\n`), bytes])
}

/** Lets the event loop turn, without timers, until something is so. */
export async function until (isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn()
}
