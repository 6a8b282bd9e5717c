import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hasPostgresql, startPostgresql } from '../support/postgresql-server.ts'
import { runMain } from '../support/run-main.ts'
import { freePort, startServer } from '../support/server-process.ts'

const certificates = fileURLToPath(new URL('../support/certificates/', import.meta.url))

let directory: string
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-check-')) })
afterEach(() => rmSync(directory, { recursive: true }))

/** What it says of each thing: its state and the sentence. */
async function check (...flags: readonly string[]) {
  const { code, stdout, stderr } = await runMain(['check', ...flags])
  expect(stderr).toBe('')
  const [findings = '', end = ''] = stdout.split('\n\n')
  return {
    code, end: end.trim(), findings: findings.split('\n').map((line) => /^(\w+) +(.+?) {2,}(.*)$/.exec(line)?.slice(1) ?? [line])
  }
}

describe('drawbridge check', () => {
  it('says what a server would find, and makes nothing', async () => {
    const port = await freePort()
    const folder = path.join(directory, 'data')
    const { code, end, findings } = await check('--port', String(port), '--data-dir', folder, '--slots', '2', '--context-size', '512', '--audit-log', path.join(directory, 'audit.jsonl'))
    expect(findings).toEqual([
      ['ok', 'database', `${folder}/drawbridge.db can be made`],
      ['ok', 'keys', 'Everybody who reaches 127.0.0.1 may use it without a key'],
      ['ok', 'address', `http://127.0.0.1:${port} is free`],
      ['ok', 'model', expect.stringMatching(/^drawbridge-demo \(demo\): 2 slots of 512 tokens, about [\d.]+ MiB of memory$/)],
      ['ok', 'audit log', `${directory}/audit.jsonl can be made`]
    ])
    expect([code, end]).toEqual([0, expect.stringMatching(/^The server can start, as far as the user \S+ can tell\.$/)])
    expect(readdirSync(directory)).toEqual([])
  })

  it('finds all that is wrong at once', async () => {
    writeFileSync(path.join(directory, 'broken.gguf'), 'no model')
    const { code, end, findings } = await check(
      '--host', '0.0.0.0', '--port', '0', '--model', path.join(directory, 'broken.gguf'), '--data-dir', directory,
      '--tls-cert', path.join(certificates, 'first.cert.pem'), '--tls-key', path.join(certificates, 'second.key.pem')
    )
    expect([code, end]).toEqual([1, expect.stringMatching(/^There are 3 problems/)])
    expect(findings.filter(([state]) => state === 'problem').map(([, about]) => about)).toEqual(['keys', 'certificate', 'model'])
    expect(existsSync(path.join(directory, 'drawbridge.db'))).toBe(false)
  })

  it('looks at a database and an address that a server uses', async () => {
    await using server = await startServer(['--model', 'fake', '--data-dir', directory])
    expect((await runMain(['keys', 'create', 'anna', '--data-dir', directory])).code).toBe(0)
    const { code, findings } = await check('--model', 'fake', '--port', new URL(server.origin).port, '--data-dir', directory)
    expect(code).toBe(0)
    expect(findings.slice(0, 3)).toEqual([
      ['ok', 'database', `${directory}/drawbridge.db answers; it has 1 key`],
      ['ok', 'keys', 'There is 1 key'],
      ['warning', 'address', expect.stringContaining('answers /health')]
    ])
  })

  it.runIf(hasPostgresql)('reaches PostgreSQL, or says that it does not (Debian: apt-get install postgresql)', async () => {
    const flags = ['--model', 'fake', '--port', '0', '--database-url']
    {
      await using postgresql = await startPostgresql()
      const reached = await check(...flags, await postgresql.createDatabase('checked'))
      expect([reached.code, reached.findings[0]]).toEqual([0, ['ok', 'database', expect.stringMatching(/^postgres:.*checked answers; its tables are made at the start$/)]])
    }
    const lost = await check(...flags, `postgres://nobody:secret@127.0.0.1:${await freePort()}/drawbridge`)
    expect([lost.code, lost.findings[0]]).toEqual([1, ['problem', 'database', expect.stringContaining('ECONNREFUSED')]])
    expect(JSON.stringify(lost.findings)).not.toContain('secret')
  })
})
