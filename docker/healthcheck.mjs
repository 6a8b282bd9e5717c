// Usage: node healthcheck.mjs [PATH]
//
// The container's health check: exit 0 when PATH (/health) answers 200, else 1 with one line for `docker inspect`. For paths
// that need a key, such as /ready, it sends the first one of the server's own.
// Plain JavaScript without dependencies: it starts every ten seconds and must be cheap.
import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'

const path = process.argv[2] ?? '/health'

// Read as the server reads them: empty ones count as absent, and so does what Kubernetes sets for a service of this name.
const variable = (name) => process.env[`DRAWBRIDGE_${name}`]?.trim() ?? ''
const port = /^\d+$/.test(variable('PORT')) ? Number(variable('PORT')) : 8080
const listening = variable('HOST').replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
// The unspecified addresses accept connections on loopback.
const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[listening] ?? listening
// The certificate is for the name that clients use, and whether it is good is for them to say.
const isTls = !['', 'off'].includes(variable('TLS_CERT'))

const fail = (reason) => {
  console.error(`${isTls ? 'https' : 'http'}://${host}:${port}${path}: ${reason}`)
  process.exit(1)
}

function readKey () {
  const file = variable('API_KEY_FILE')
  if (file === '') return variable('API_KEY').split(',')[0]
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/).map((line) => line.trim()).find((line) => line !== '' && !line.startsWith('#'))
  } catch (error) {
    return fail(error.message)
  }
}

const key = path === '/health' ? '' : readKey()
const headers = key ? { authorization: `Bearer ${key}` } : {}
const request = (isTls ? https : http).get({ host, port, path, headers, agent: false, rejectUnauthorized: false }, (response) => {
  response.resume()
  if (response.statusCode === 200) process.exit(0)
  fail(`status ${response.statusCode}`)
})
request.setTimeout(4000, () => fail('no answer within 4 s'))
request.on('error', (error) => fail(error.message))
