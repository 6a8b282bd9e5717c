import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AdapterStateWriter, readAdapterState } from '../../../src/adapters/adapter-state.ts'
import { StartupError } from '../../../src/domain/startup-error.ts'

let directory = ''
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-state-')) })
afterEach(() => rmSync(directory, { recursive: true }))

const stateOf = (name: string) => ({ adapters: [{ model: 'base', name, reference: `/a/${name}.gguf`, scale: 0.5, pinned: true }], unloaded: [{ model: 'base', name: 'x', fingerprint: '1:2:3' }] })

describe('the state of adapters', () => {
  it('is empty where there is none', () => {
    expect(readAdapterState(path.join(directory, 'none.json'))).toEqual({ adapters: [], unloaded: [] })
  })

  it('is read as the last one that was written, and nothing is left beside it', async () => {
    const file = path.join(directory, 'state.json')
    const writer = new AdapterStateWriter(file, (error) => { throw error })
    for (const name of ['a', 'b', 'c']) writer.write(stateOf(name))
    await writer.settle()
    expect(readAdapterState(file)).toMatchObject(stateOf('c'))
    expect(readdirSync(directory)).toEqual(['state.json'])
  })

  it('says when it cannot be written, and goes on', async () => {
    const errors: Error[] = []
    const writer = new AdapterStateWriter(path.join(directory, 'no', 'state.json'), (error) => { errors.push(error) })
    writer.write(stateOf('a'))
    await writer.settle()
    expect(errors).toHaveLength(1)
  })

  it.each(['', '{', '[]', '{"version":2,"adapters":[],"unloaded":[]}', '{"version":1,"adapters":[{}],"unloaded":[]}'])('that is damaged keeps the server from forgetting: %s', (text) => {
    const file = path.join(directory, 'state.json')
    writeFileSync(file, text)
    expect(() => readAdapterState(file)).toThrow(StartupError)
    expect(() => readAdapterState(file)).toThrow(`The adapter state ${file} is damaged`)
  })
})
