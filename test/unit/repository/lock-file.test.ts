import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8'))

interface LockFile {
  readonly packages: Readonly<Record<string, {
    readonly version?: string
    readonly optionalDependencies?: Readonly<Record<string, string>>
    readonly engines?: { readonly node?: string }
    readonly dev?: boolean
  }>>
}

describe('package-lock.json', () => {
  const { packages } = read('package-lock.json') as LockFile

  it('names the bindings of every platform, or `npm ci` refuses to install on any', () => {
    const bindings = packages['node_modules/node-llama-cpp']?.optionalDependencies ?? {}
    expect(Object.keys(bindings).length).toBeGreaterThan(10)
    const locked = Object.keys(bindings).map((name) => [name, packages[`node_modules/${name}`]?.version])
    expect(Object.fromEntries(locked)).toEqual(bindings)
  })

  it('is of the bindings whose internals the engine was written for', () => {
    const { dependencies } = read('package.json') as { dependencies: Record<string, string> }
    expect(dependencies['node-llama-cpp']).toMatch(/^\d+\.\d+\.\d+$/)
    expect(packages['node_modules/node-llama-cpp']?.version).toBe(dependencies['node-llama-cpp'])
  })
})
