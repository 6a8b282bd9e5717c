import { X509Certificate } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTlsFiles, type TlsPair } from '../../../src/cli/tls-files.ts'

const certificates = path.resolve(import.meta.dirname, '../../support/certificates')
let folder: string
let certFile: string
let keyFile: string
let log: string[]

const use = (name: string, files: readonly string[] = ['cert', 'key']): void => {
  for (const file of files) copyFileSync(path.join(certificates, `${name}.${file}.pem`), path.join(folder, `${file}.pem`))
}
const pem = (name: string): string => readFileSync(path.join(certificates, `${name}.pem`), 'utf8')

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tls-files-'))
  certFile = path.join(folder, 'cert.pem')
  keyFile = path.join(folder, 'key.pem')
  log = []
  use('first')
})
afterEach(() => rmSync(folder, { recursive: true }))

const open = () => openTlsFiles({ tlsCert: certFile, tlsKey: keyFile }, {
  sourceOf: (flag) => `--${flag}`,
  logger: { info: (_, message) => { log.push(message) }, warn: (_, message) => { log.push(message) } }
})

describe('certificate files', () => {
  it('are none without TLS', () => {
    expect(openTlsFiles({ tlsCert: 'off', tlsKey: 'off' }, { sourceOf: String, logger: { info: () => {}, warn: () => {} } })).toBeNull()
  })

  it('tell when the certificate ends', () => {
    const files = open()
    const end = new X509Certificate(pem('first.cert')).validTo
    expect(new Date(files?.endsAt ?? 0).toUTCString()).toBe(new Date(end).toUTCString())
    expect(files?.endsAt).toBeGreaterThan(0)
  })

  it('are read at the start', () => {
    expect(open()?.pair.cert.toString()).toBe(pem('first.cert'))
  })

  it.each([
    ['do not exist', () => rmSync(keyFile), /^The TLS key .*key\.pem \(--tls-key\) cannot be read: it does not exist$/],
    ['are no PEM', () => writeFileSync(certFile, 'x'), /cert\.pem \(--tls-cert\) and the key .*key\.pem \(--tls-key\) cannot be used: /],
    ['do not belong together', () => use('second', ['key']), /cannot be used: .*key values mismatch/]
  ])('keep the server from starting when they %s', (_, breakThem, message) => {
    breakThem()
    expect(open).toThrow(message)
  })

  it('are taken over when they have changed, and once', () => {
    const tls = open()
    const pairs: TlsPair[] = []
    tls?.watch((pair) => pairs.push(pair))
    tls?.reload()
    expect(pairs).toEqual([])
    use('second')
    tls?.reload()
    tls?.reload()
    expect(pairs.map(({ cert }) => cert.toString())).toEqual([pem('second.cert')])
    expect(log).toEqual(['TLS certificate read again'])
    tls?.close()
  })

  it('leave the last pair when only one of them is new yet', () => {
    const tls = open()
    const pairs: TlsPair[] = []
    tls?.watch((pair) => pairs.push(pair))
    use('second', ['cert'])
    tls?.reload()
    expect(pairs).toEqual([])
    expect(tls?.pair.cert.toString()).toBe(pem('first.cert'))
    expect(log).toEqual(['the TLS certificate stays as it was'])
    use('second', ['key'])
    tls?.reload()
    expect(pairs).toHaveLength(1)
    tls?.close()
  })

  it('are watched', async () => {
    const tls = open()
    const changed = new Promise<TlsPair>((resolve) => tls?.watch(resolve, 10))
    use('second')
    expect((await changed).cert.toString()).toBe(pem('second.cert'))
    tls?.close()
  })

  it('are taken over when they have changed before they are watched', async () => {
    const tls = open()
    use('second')
    const changed = new Promise<TlsPair>((resolve) => tls?.watch(resolve, 10))
    expect((await changed).cert.toString()).toBe(pem('second.cert'))
    tls?.close()
  })

  it('that cannot be used are told of once, not whenever they are looked at', async () => {
    const tls = open()
    const changed = new Promise<TlsPair>((resolve) => tls?.watch(resolve, 1))
    writeFileSync(certFile, 'x')
    await expect.poll(() => log).toContain('the TLS certificate stays as it was')
    const warnings = log.length
    // Many looks later, as timers of the same length go off in turn.
    for (let look = 0; look < 10; look++) await delay(1)
    expect(log).toHaveLength(warnings)
    use('second')
    await changed
    tls?.close()
  })
})
