import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const script = path.resolve(import.meta.dirname, '../../../docker/prune-bindings.mjs')
const packages = ['linux-arm64', 'linux-armv7l', 'linux-x64', 'linux-x64-cuda', 'linux-x64-cuda-ext', 'linux-x64-vulkan']
const drivers = ['linux-arm64-gnu', 'linux-arm64-musl', 'linux-x64-gnu', 'linux-x64-musl']

let folder: string

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'prune-'))
  for (const name of packages) mkdirSync(path.join(folder, '@node-llama-cpp', name), { recursive: true })
  for (const name of drivers) mkdirSync(path.join(folder, '@libsql', name), { recursive: true })
  mkdirSync(path.join(folder, 'node-llama-cpp/llama'), { recursive: true })
  writeFileSync(path.join(folder, 'node-llama-cpp/llama/gitRelease.bundle'), '')
  writeFileSync(path.join(folder, 'node-llama-cpp/llama/binariesGithubRelease.json'), '{}')
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Runs the script as it would run on a processor. */
const prune = (variant: string, processor: string) => spawnSync(process.execPath, [
  '--import', `data:text/javascript,Object.defineProperty(process, 'arch', { value: '${processor}' })`, script, variant, folder
], { encoding: 'utf8' })
const left = (): readonly string[] => readdirSync(path.join(folder, '@node-llama-cpp')).toSorted()

const leftDrivers = (): readonly string[] => readdirSync(path.join(folder, '@libsql')).toSorted()

describe('pruning of the native binaries', () => {
  test.each([
    ['cpu', 'x64', ['linux-x64']],
    ['cpu', 'arm64', ['linux-arm64']],
    ['cuda', 'x64', ['linux-x64', 'linux-x64-cuda']],
    ['cuda12', 'x64', ['linux-x64', 'linux-x64-cuda', 'linux-x64-cuda-ext']]
  ])('%s on %s', (variant, processor, expected) => {
    expect(prune(variant, processor).status).toBe(0)
    expect(left()).toEqual(expected)
    expect(leftDrivers()).toEqual([`linux-${processor}-gnu`])
    expect(existsSync(path.join(folder, 'node-llama-cpp/llama/gitRelease.bundle'))).toBe(false)
    expect(existsSync(path.join(folder, 'node-llama-cpp/llama/binariesGithubRelease.json'))).toBe(true)
  })

  test.each([
    ['cuda', 'arm64', 'the cuda variant needs amd64, this is arm64'],
    ['rocm', 'x64', 'usage'],
    ['cpu', 'riscv64', 'there are no prebuilt binaries for riscv64']
  ])('%s on %s is refused and removes nothing', (variant, processor, message) => {
    const { status, stderr } = prune(variant, processor)
    expect(status).toBe(1)
    expect(stderr).toContain(message)
    expect(left()).toEqual(packages)
    expect(leftDrivers()).toEqual(drivers)
  })

  test.each(['@node-llama-cpp/linux-x64', '@libsql/linux-x64-gnu'])('without %s the build fails instead of making an image that lacks it', (name) => {
    rmSync(path.join(folder, name), { recursive: true })
    const { status, stderr } = prune('cpu', 'x64')
    expect(status).toBe(1)
    expect(stderr).toContain(`${name} is not installed`)
    expect([...left(), ...leftDrivers()]).toHaveLength(packages.length + drivers.length - 1)
  })
})
