// The container's health check: exit 0 when /health answers 200, else 1 with one line for `docker inspect`.
// Plain JavaScript without dependencies: it starts every ten seconds and must be cheap.
import * as http from 'node:http'
import * as https from 'node:https'

// Read as the server reads them: empty ones count as absent, and so does what Kubernetes sets for a service of this name.
const portText = process.env.DRAWBRIDGE_PORT?.trim() ?? ''
const port = /^\d+$/.test(portText) ? Number(portText) : 8080
const listening = process.env.DRAWBRIDGE_HOST?.trim().replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
// The unspecified addresses accept connections on loopback.
const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listening] ?? listening

// The certificate is for the name that clients use, and whether it is good is for them to say.
const isTls = !['', 'off'].includes(process.env.DRAWBRIDGE_TLS_CERT?.trim() ?? '')

const fail = (reason) => {
  console.error(`${isTls ? 'https' : 'http'}://${host}:${port}/health: ${reason}`)
  process.exit(1)
}

const request = (isTls ? https : http).get({ host, port, path: '/health', agent: false, rejectUnauthorized: false }, (response) => {
  response.resume()
  if (response.statusCode === 200) process.exit(0)
  fail(`status ${response.statusCode}`)
})
request.setTimeout(4000, () => fail('no answer within 4 s'))
request.on('error', (error) => fail(error.message))
