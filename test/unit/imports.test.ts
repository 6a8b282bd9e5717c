import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const sourceRoot = fileURLToPath(new URL('../../src', import.meta.url))

/** Whom each room may import beside itself. Imports go one way; whoever adds an arrow here changes the design. */
const allowedRooms: Record<string, readonly string[]> = {
  domain: [],
  config: ['domain'],
  scheduler: ['domain'],
  engine: ['domain', 'scheduler'],
  inference: ['domain', 'scheduler', 'engine'],
  models: ['domain', 'config', 'engine', 'inference'],
  adapters: ['domain', 'config', 'engine', 'models'],
  access: ['domain', 'config'],
  batches: ['domain', 'access'],
  telemetry: ['domain', 'config', 'inference', 'models', 'adapters'],
  chat: ['domain', 'engine', 'inference'],
  http: ['domain', 'config', 'engine', 'inference', 'chat', 'models', 'adapters', 'access', 'batches', 'telemetry'],
  bench: ['domain', 'config'],
  app: ['domain', 'config', 'engine', 'inference', 'chat', 'models', 'adapters', 'access', 'batches', 'telemetry', 'http'],
  cli: ['domain', 'config', 'scheduler', 'engine', 'inference', 'chat', 'models', 'adapters', 'access', 'telemetry', 'http', 'app', 'bench']
}

/** Packages that only one place may know. */
const packageOwners: Record<string, RegExp> = {
  'node-llama-cpp': /^engine\/llama-cpp\//,
  fastify: /^(http\/|app\.ts$)/,
  'fastify-plugin': /^http\/plugins\//,
  'prom-client': /^telemetry\//,
  // Loaded only where traces are wanted.
  '@opentelemetry/api': /^telemetry\/otlp-tracing\.ts$/,
  '@opentelemetry/exporter-trace-otlp-http': /^telemetry\/otlp-tracing\.ts$/,
  '@opentelemetry/resources': /^telemetry\/otlp-tracing\.ts$/,
  '@opentelemetry/sdk-trace-base': /^telemetry\/otlp-tracing\.ts$/,
  libsql: /^access\/storage\//,
  pg: /^access\/storage\//,
  '@huggingface/jinja': /^chat\//,
  openai: /^http\//
}

interface Import {
  readonly file: string
  readonly line: number
  readonly target: string
  readonly isTypeOnly: boolean
}

/** `import … from '…'`, `export … from '…'`, `import('…')` and `import '…'`, over several lines too. */
const importPattern = /(?:^|[;\n])\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

function readImports (): Import[] {
  const files = readdirSync(sourceRoot, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  return files.flatMap((file) => {
    const source = readFileSync(join(sourceRoot, file), 'utf8')
    return [...source.matchAll(importPattern)].map((match) => ({
      file: file.split(sep).join('/'),
      line: source.slice(0, match.index + match[0].length).split('\n').length,
      target: match[2] ?? match[3] ?? '',
      isTypeOnly: match[1] !== undefined
    }))
  })
}

const roomOf = (path: string): string => path.includes('/') ? path.split('/', 1)[0] ?? '' : path.replace(/\.ts$/, '')

const imports = readImports()
const show = ({ file, line, target }: Import): string => `src/${file}:${line} imports ${target}`

describe('imports under src', () => {
  it('are found at all', () => {
    expect(imports.length).toBeGreaterThan(100)
    expect(imports.some(({ file, target }) => file === 'app.ts' && target === './http/sse.ts')).toBe(false)
    expect(imports.some(({ file, target }) => file === 'app.ts' && target === './http/services.ts')).toBe(true)
  })

  it('follow the arrows of the design', () => {
    const wrong = imports.filter(({ file, target }) => {
      if (!target.startsWith('.')) return false
      const from = roomOf(file)
      const to = roomOf(relative(sourceRoot, resolve(sourceRoot, dirname(file), target)).split(sep).join('/'))
      return from !== to && allowedRooms[from]?.includes(to) !== true
    })
    expect(wrong.map(show)).toEqual([])
  })

  it('keep packages in the rooms that own them', () => {
    const wrong = imports.filter(({ file, target }) => Object.entries(packageOwners).some(([name, owner]) =>
      (target === name || target.startsWith(`${name}/`)) && !owner.test(file)))
    expect(wrong.map(show)).toEqual([])
  })

  it('take only types from packages that users do not install', () => {
    const manifest = JSON.parse(readFileSync(join(sourceRoot, '../package.json'), 'utf8')) as Record<string, Record<string, string>>
    const development = Object.keys(manifest['devDependencies'] ?? {})
    const wrong = imports.filter(({ target, isTypeOnly }) => !isTypeOnly && development.some((name) => target === name || target.startsWith(`${name}/`)))
    expect(wrong.map(show)).toEqual([])
  })

  it('load the exporter of traces only when it is asked for', () => {
    const importers = readdirSync(sourceRoot, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && readFileSync(join(sourceRoot, file), 'utf8').includes('/otlp-tracing.ts\''))
    expect(importers.map((file) => file.split(sep).join('/'))).toEqual(['cli/open-telemetry.ts'])
    expect(readFileSync(join(sourceRoot, 'cli/open-telemetry.ts'), 'utf8')).toContain('await import(\'../telemetry/otlp-tracing.ts\')')
  })

  it('name files by their extension', () => {
    expect(imports.filter(({ target }) => target.startsWith('.') && !target.endsWith('.ts')).map(show)).toEqual([])
  })
})
