import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { EngineChild } from '../../../src/models/engine-child.ts'

/** Runs a process that tells its environment. */
async function environmentOf (threadPoolSize: number, folder: string): Promise<Record<string, string | undefined>> {
  const entry = path.join(folder, 'engine.mjs')
  writeFileSync(entry, "process.send({ type: 'log', level: 'info', details: process.env, message: '' }, () => process.exit(0))")
  return await new Promise((resolve, reject) => {
    let environment: object | null = null
    const child = new EngineChild({
      entry,
      threadPoolSize,
      onMessage: (message) => { if (message.type === 'log') environment = message.details },
      onOutput: () => {},
      onExit: ({ code }) => {
        if (environment === null) reject(new Error(`${child.pid} ended with ${code} and said nothing`))
        else resolve(environment as Record<string, string | undefined>)
      }
    })
  })
}

describe('the environment of engine processes', () => {
  let folder: string
  beforeEach(() => { folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-child-')) })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  it('has a pool thread for each lane, threads that sleep while they wait, and no settings of the server', async () => {
    vi.stubEnv('OMP_WAIT_POLICY', undefined)
    vi.stubEnv('DRAWBRIDGE_API_KEY', 'secret')
    const environment = await environmentOf(3, folder)
    expect(environment).toMatchObject({ UV_THREADPOOL_SIZE: '3', OMP_WAIT_POLICY: 'passive', PATH: process.env['PATH'] })
    expect(Object.keys(environment).filter((name) => name.startsWith('DRAWBRIDGE_'))).toEqual([])
  })

  it('leaves the way in which OpenMP waits to whoever set it', async () => {
    vi.stubEnv('OMP_WAIT_POLICY', 'active')
    expect(await environmentOf(1, folder)).toMatchObject({ OMP_WAIT_POLICY: 'active' })
  })
})
