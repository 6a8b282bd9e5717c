import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { freePort, waitUntil } from './server-process.ts'

export interface PostgresqlServer extends AsyncDisposable {
  /** Makes an empty database and gives its address. */
  createDatabase (name: string): Promise<string>
  /** Ends at once, as if the power went. */
  kill (): Promise<void>
}

/** Debian keeps the server's programs out of the path. */
function findPrograms (): string | null {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), ...versions.map((version) => path.join(debian, version, 'bin'))]
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(path.join(folder, name)))) ?? null
}

const programs = findPrograms()

/** Whether this machine has PostgreSQL's server (Debian's package `postgresql`). */
export const hasPostgresql = programs !== null

/** PostgreSQL does not run as root, so root runs it as somebody else. */
function serverUser (): { readonly uid: number, readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (user === undefined) throw new Error('There is neither a user "postgres" nor a user "nobody" to run PostgreSQL as')
  return { uid: Number(user[2]), gid: Number(user[3]) }
}

/** Starts a server in a temporary folder, on a loopback port of its own. */
export async function startPostgresql (): Promise<PostgresqlServer> {
  if (programs === null) throw new Error('This machine has no PostgreSQL')
  const user = serverUser()
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-postgresql-'))
  if (user !== null) chownSync(folder, user.uid, user.gid)
  const data = path.join(folder, 'data')
  const options = { ...user, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], LC_ALL: 'C', HOME: folder } }
  let output = ''
  const start = (program: string, argv: readonly string[]) => {
    const child = spawn(path.join(programs, program), argv, options)
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
    return child
  }
  const [code] = await once(start('initdb', ['-D', data, '-U', 'drawbridge', '-A', 'trust', '-E', 'UTF8', '--no-sync']), 'close') as [number | null]
  if (code !== 0) throw new Error(`initdb ended with ${code}:\n${output}`)
  const port = await freePort()
  const server = start('postgres', ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', folder, '-c', 'fsync=off'])
  const ended = once(server, 'close')
  const url = (name: string): string => `postgres://drawbridge@127.0.0.1:${port}/${name}`
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url('postgres') })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) server.kill(signal)
    await ended
  }
  try {
    await waitUntil(async () => {
      if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}:\n${output}`)
      return await run('SELECT 1').then(() => true, () => false)
    }, 'PostgreSQL')
  } catch (error) {
    await stop('SIGKILL')
    throw error
  }
  return {
    createDatabase: async (name) => {
      await run(`CREATE DATABASE ${name}`)
      return url(name)
    },
    // Its children end with it: that is what an immediate shutdown is for.
    kill: async () => await stop('SIGQUIT'),
    async [Symbol.asyncDispose] () {
      await stop('SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
