import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const answerTimeoutMs = 30_000

/** A connection to a server, whose errors are not told: it may be cut at any moment. */
export async function openConnection ({ protocol, hostname, port }: URL): Promise<Socket> {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const isTls = protocol === 'https:'
  const number = Number(port === '' ? (isTls ? 443 : 80) : port)
  // Whether the certificate is good is not what is tried.
  const socket = isTls ? connectTls({ host, port: number, rejectUnauthorized: false }) : connect(number, host)
  await once(socket, isTls ? 'secureConnect' : 'connect')
  socket.on('error', () => {})
  return socket
}

/** Sends bytes as they are, and reads until the server ends the connection, or keeps silent for too long. */
export async function sendRaw (origin: URL, bytes: string): Promise<string> {
  const socket = await openConnection(origin)
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => { answer += text })
  socket.setTimeout(answerTimeoutMs, () => socket.destroy())
  const closed = once(socket, 'close').catch(() => {})
  socket.write(bytes)
  await closed
  return answer
}

export const statusesOf = (answer: string): readonly number[] => [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status))
