import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../../../src/config/config.ts'
import { options, variableName } from '../../../src/config/options.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')

interface Service {
  readonly image: string
  readonly profiles?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: readonly string[]
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly stop_grace_period?: string
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const compose = parse(read('docker-compose.yml')) as Compose
const cuda = parse(read('docker/compose.cuda.yml')) as Pick<Compose, 'services'>
const service = (name: string): Service => {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`There is no service ${name}`)
  return found
}
/** Instructions of the Dockerfile, one per line, without comments. */
const instructions = read('Dockerfile').replace(/^\s*#.*\n/gm, '').replace(/\\\n\s*/g, ' ').split('\n').filter(Boolean)
const runtime = instructions.slice(instructions.findIndex((line) => line.endsWith('AS runtime')))

describe('settings', () => {
  const known = new Set(options.filter((option) => option.hasVariable).map(variableName))

  test.each([
    ['Dockerfile', runtime.filter((line) => line.startsWith('ENV')).join(' ').match(/DRAWBRIDGE_\w+(?==)/g) ?? []],
    ['docker-compose.yml', Object.keys(service('drawbridge').environment ?? {})],
    ['docker/compose.cuda.yml', Object.keys(cuda.services['drawbridge']?.environment ?? {})]
  ])('%s sets variables that the server knows', (_, names) => {
    expect(names.length).toBeGreaterThan(1)
    expect(names.filter((name) => !known.has(name))).toEqual([])
  })

  test('running answers may finish before the container is killed', () => {
    const grace = /^(\d+)s$/.exec(service('drawbridge').stop_grace_period ?? '')
    expect(Number(grace?.[1]) * 1000).toBeGreaterThan(configSchema.parse({}).drainTimeoutMs)
  })
})

describe('docker-compose.yml', () => {
  test('keeps what the server must not lose in a volume that its user may write', () => {
    const folder = /DRAWBRIDGE_DATA_DIR=(\S+)/.exec(runtime.find((line) => line.startsWith('ENV')) ?? '')?.[1]
    const making = runtime.find((line) => line.startsWith('RUN') && line.includes('chown')) ?? ''
    const user = runtime.findLast((line) => line.startsWith('USER'))?.split(' ')[1]
    for (const place of ['/models', folder]) {
      expect(making).toMatch(new RegExp(`chown ${user}[^&]* ${place}( |$)`))
      expect(JSON.parse(runtime.find((line) => line.startsWith('VOLUME'))?.slice(6) ?? '[]')).toContain(place)
      expect(service('drawbridge').volumes?.some((volume) => volume.endsWith(`:${place}`))).toBe(true)
    }
    // With a read-only root, nothing else is left to write to.
    expect(/XDG_CACHE_HOME=(\S+)/.exec(runtime.find((line) => line.startsWith('ENV')) ?? '')?.[1]?.startsWith(`${folder}/`)).toBe(true)
  })

  test('names only secrets and volumes that exist', () => {
    for (const { secrets = [], volumes = [] } of Object.values(compose.services)) {
      expect(secrets.filter((name) => compose.secrets[name] === undefined)).toEqual([])
      const named = volumes.map((volume) => volume.replace(/^\$\{\w+:-([^}]*)\}/, '$1').split(':')[0] ?? '')
      expect(named.filter((name) => name.startsWith('./') ? !existsSync(path.join(root, name)) : !(name in compose.volumes))).toEqual([])
    }
  })

  test('starts the server alone unless the profile asks for more', () => {
    expect(Object.keys(compose.services).filter((name) => service(name).profiles === undefined)).toEqual(['drawbridge'])
  })

  test('publishes on loopback only, by default', () => {
    const ports = Object.values(compose.services).flatMap((entry) => entry.ports ?? [])
    expect(ports).toHaveLength(3)
    expect(ports.filter((port) => !/^\$\{\w+:-127\.0\.0\.1:\d+\}:\d+$/.test(port))).toEqual([])
  })

  test('reads the key where the secret is mounted, in the server and in Prometheus', () => {
    const [secret] = Object.keys(compose.secrets)
    expect(service('drawbridge').environment?.['DRAWBRIDGE_API_KEY_FILE']).toBe(`/run/secrets/${secret}`)
    expect(read('docker/prometheus/prometheus.yml')).toContain(`credentials_file: /run/secrets/${secret}\n`)
    for (const name of ['drawbridge', 'prometheus', 'grafana']) expect(service(name).secrets).toEqual([secret])
  })

  test('never lets a key into the repository', () => {
    expect(compose.secrets['drawbridge-api-key']?.file).toBe('${' + 'DRAWBRIDGE_SECRET_FILE:-./docker/secrets/api-key}')
    expect(read('docker/secrets/.gitignore')).toBe('*\n!.gitignore\n')
  })

  test('Grafana finds its dashboards and Prometheus', () => {
    const folder = '/etc/drawbridge/dashboards'
    const grafana = service('grafana')
    expect(grafana.volumes).toContain(`./docker/grafana/dashboards:${folder}:ro`)
    expect(read('docker/grafana/provisioning/dashboards/drawbridge.yml')).toContain(`path: ${folder}\n`)
    const home = grafana.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? ''
    expect(existsSync(path.join(root, 'docker/grafana/dashboards', path.relative(folder, home)))).toBe(true)
    expect(read('docker/grafana/provisioning/datasources/prometheus.yml')).toContain('url: http://prometheus:9090\n')
  })

  test('Prometheus scrapes the port that the image exposes', () => {
    const exposed = runtime.find((line) => line.startsWith('EXPOSE'))?.split(' ')[1]
    expect(read('docker/prometheus/prometheus.yml')).toContain(`targets: [drawbridge:${exposed}]`)
    expect(service('drawbridge').ports?.[0]?.endsWith(`:${exposed}`)).toBe(true)
  })
})

describe('Dockerfile', () => {
  /** What .dockerignore lets through: the last line that matches a path or one of its folders decides. */
  const isInContext = (file: string): boolean => {
    const lines = read('.dockerignore').split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    const matching = lines.findLast((line) => {
      const pattern = line.replace(/^!/, '').replaceAll('.', '\\.').replaceAll('*', '[^/]*')
      return new RegExp(`^${pattern}(/|$)`).test(file)
    })
    return matching?.startsWith('!') === true
  }

  const copied = [...new Set(instructions
    .filter((line) => line.startsWith('COPY') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1)))]

  test.each(copied)('%s is there, and in the build context', (source) => {
    const isFolder = statSync(path.join(root, source)).isDirectory()
    const files = isFolder ? readdirSync(path.join(root, source), { encoding: 'utf8' }).map((name) => `${source}/${name}`) : [source]
    expect(files.filter((file) => isInContext(file)).length).toBeGreaterThan(0)
  })

  test('the context has the demo model and its adapters, and nothing of the host', () => {
    expect(isInContext('models/demo/drawbridge-demo-q8_0.gguf')).toBe(true)
    expect(isInContext('models/demo/adapters/pirate.gguf')).toBe(true)
    for (const file of ['node_modules/fastify/package.json', 'docker/secrets/api-key', '.git/config', '.env', 'models/private.gguf', 'dist/src/cli/main.js']) {
      expect(isInContext(file)).toBe(false)
    }
  })

  test('the server is the first process under tini, gets signals, and is not root', () => {
    const json = (instruction: string): unknown => {
      const line = runtime.find((text) => text.startsWith(instruction))
      return JSON.parse(line?.slice(instruction.length) ?? 'null')
    }
    expect(json('ENTRYPOINT')).toEqual(['/usr/local/bin/tini', '--', 'node', '/app/dist/src/cli/main.js'])
    expect(json('CMD')).toEqual(['serve'])
    expect(runtime.findLast((line) => line.startsWith('USER'))).toMatch(/^USER [1-9]\d*:[1-9]\d*$/)
    expect(runtime.some((line) => line.startsWith('HEALTHCHECK'))).toBe(true)
  })

  test('there is a base for every variant that the pruning knows', () => {
    const bases = instructions.flatMap((line) => /^FROM \S+ AS base-(\w+)$/.exec(line)?.[1] ?? [])
    expect(bases).toEqual(['cpu', 'cuda', 'cuda12'])
    for (const variant of bases) expect(read('docker/prune-bindings.mjs')).toMatch(new RegExp(`^  ${variant}: \\[`, 'm'))
  })
})
