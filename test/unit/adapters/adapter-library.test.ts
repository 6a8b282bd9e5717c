import { afterEach, describe, expect, it } from 'vitest'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { neverAborted } from '../../support/generation.ts'
import { createGate, createScriptedRegistry } from '../../support/scripted-adapter-host.ts'

const disposers: (() => Promise<void>)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0)) await dispose() })

describe('what is to be remembered', () => {
  it('is told after each change, also after a load that came to nothing', async () => {
    const { registry, gates, dispose } = await createScriptedRegistry()
    disposers.push(dispose)
    const gate = createGate()
    gates.set('check 10 bad', gate.opened)
    const told: string[][] = []
    const library: AdapterLibrary = new AdapterLibrary({
      catalogue: createModelCatalogue([]),
      registries: [registry],
      resolveReference: (reference) => reference,
      onChange: () => { told.push(library.list().map(({ name }) => name)) }
    })
    const load = async (name: string, reference: string) => await library.load({ name, reference, ifExists: 'refuse' }, neverAborted)
    const lost = load('lost', '10 bad')
    await load('kept', '10')
    gate.open()
    await expect(lost).rejects.toMatchObject({ code: 'invalid_adapter' })
    expect(told).toEqual([['lost', 'kept'], ['kept']])
  })
})
