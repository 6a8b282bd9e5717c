import { afterEach, describe, expect, it } from 'vitest'
import { type AdapterChoice, AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { checkMayChangeAll, checkMayLoad, findAllowedAdapter, selectAllowed } from '../../../src/http/allowed-models.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { neverAborted } from '../../support/generation.ts'
import { createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { createTestHost } from '../../support/test-host.ts'

const disposers: (() => Promise<unknown>)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0)) await dispose() })

/** Two models; `base` has the adapters `ours` (0) and `theirs` (1), `hidden` has `ours-too` (2). */
async function setUp () {
  const hosts = ['base', 'hidden'].map((id) => createTestHost(createScriptedInference(() => answerEvents(['x'])), { id, root: `/models/${id}` }))
  let id = 0
  const [base, hidden] = [await createScriptedRegistry({ model: 'base', nextId: () => id++ }), await createScriptedRegistry({ model: 'hidden', nextId: () => id++ })]
  disposers.push(base.dispose, hidden.dispose)
  for (const name of ['ours', 'theirs']) await base.registry.load(loadRequest(name, '10'), neverAborted)
  await hidden.registry.load(loadRequest('ours-too', '10'), neverAborted)
  const catalogue = createModelCatalogue(hosts)
  return { catalogue, adapters: new AdapterLibrary({ catalogue, registries: [base.registry, hidden.registry], resolveReference: (reference) => reference }) }
}

const rights = { models: ['base'], adapters: ['ours*'] }

describe('what a key may use', () => {
  it('is taken by name, and with the adapters beside it', async () => {
    const served = await setUp()
    const picks = (name: string, choices: Parameters<typeof selectAllowed>[3] = []) => selectAllowed(served, rights, name, choices).picks.map((pick) => pick.name)
    expect([picks('base'), picks('ours'), picks('base:ours'), picks('base', [{ id: 0 }]), picks('ours', [{ name: 'ours', scale: 2 }])]).toEqual([[], ['ours'], ['ours'], ['ours'], ['ours']])
  })

  it.each(['hidden', 'theirs', 'base:theirs', 'ours-too', 'hidden:ours-too', '/models/hidden', 'nothing'])('does not hold %s', async (name) => {
    const served = await setUp()
    expect(() => selectAllowed(served, rights, name)).toThrow(expect.objectContaining({ code: 'model_not_found', param: 'model', message: `The model "${name}" does not exist; this server has "base", "ours"` }))
    // Nothing beside it tells more.
    expect(() => selectAllowed(served, rights, name, [{ name: 'nothing' }])).toThrow(expect.objectContaining({ param: 'model' }))
  })

  it('is not told of by the errors of other adapters', async () => {
    const served = await setUp()
    const wrong: readonly (readonly AdapterChoice[])[] = [[{ name: 'theirs' }], [{ id: 1 }], [{ id: 1 }, { id: 1 }], [{ name: 'nothing' }], [{ id: 99 }]]
    for (const choices of wrong) {
      const error = (() => { try { return selectAllowed(served, rights, 'base', choices) } catch (thrown) { return thrown } })()
      expect(error).toMatchObject({ code: 'model_not_found', param: 'lora[0]' })
      if (choices[0]!.name === undefined) expect((error as Error).message).not.toContain('theirs')
    }
    expect(() => selectAllowed(served, rights, 'base', [{ id: 0 }, { name: 'ours' }])).toThrow(expect.objectContaining({ code: 'invalid_value' }))
  })

  it('is all that it may change', async () => {
    const served = await setUp()
    expect(findAllowedAdapter(served.adapters, rights, 'ours').name).toBe('ours')
    for (const name of ['theirs', 'ours-too', 'nothing']) {
      expect(() => findAllowedAdapter(served.adapters, rights, name)).toThrow(expect.objectContaining({ code: 'adapter_not_found', message: `There is no adapter "${name}"` }))
    }
    expect(() => checkMayLoad(served, rights, 'ours-new', 'base')).not.toThrow()
    expect(() => checkMayLoad(served, rights, 'ours-new', undefined)).toThrow(expect.objectContaining({ code: 'missing_required_parameter' }))
    for (const [name, model] of [['ours-new', 'hidden'], ['theirs', 'base'], ['ours-new', 'nothing']] as const) {
      expect(() => checkMayLoad(served, rights, name, model)).toThrow(expect.objectContaining({ code: 'permission_denied' }))
    }
    expect(() => checkMayChangeAll(rights)).toThrow(expect.objectContaining({ code: 'permission_denied' }))
    expect(() => checkMayChangeAll({ models: null, adapters: null })).not.toThrow()
  })
})
