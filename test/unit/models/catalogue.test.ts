import type { ModelHost } from '../../../src/models/model-host.ts'
import { describe, expect, it } from 'vitest'
import { ServerError } from '../../../src/domain/errors.ts'
import { StartupError } from '../../../src/domain/startup-error.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'

/** The catalogue reads a host's names only, so a host of nothing else is enough here. */
function hostOf (id: string, root: string): ModelHost {
  return { id, root, createdAt: 1_700_000_000, info: null } as unknown as ModelHost
}

function thrownBy (action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('model catalogue', () => {
  it('resolves ids and, when it is unambiguous, the place a model came from', () => {
    const demo = hostOf('drawbridge-demo', 'demo')
    const chat = hostOf('team/chat:v2', '/models/chat.gguf')
    const catalogue = createModelCatalogue([demo, chat])
    expect(catalogue.resolve('drawbridge-demo').host).toBe(demo)
    expect(catalogue.resolve('demo').host).toBe(demo)
    expect(catalogue.resolve('team/chat:v2').host).toBe(chat)
    expect(catalogue.resolve('/models/chat.gguf').host).toBe(chat)
    expect(catalogue.resolve('demo').adapters.adapters).toEqual([])
  })

  it('prefers an id to a place of the same text', () => {
    const named = hostOf('demo', '/models/chat.gguf')
    const catalogue = createModelCatalogue([hostOf('drawbridge-demo', 'demo'), named])
    expect(catalogue.resolve('demo').host).toBe(named)
  })

  it('does not guess between two models that came from the same place', () => {
    const catalogue = createModelCatalogue([hostOf('a', 'demo'), hostOf('b', 'demo')])
    expect(thrownBy(() => catalogue.resolve('demo'))).toBeInstanceOf(ServerError)
    expect(catalogue.resolve('b').host.id).toBe('b')
  })

  it('names the models there are when the asked one does not exist', () => {
    const catalogue = createModelCatalogue([hostOf('drawbridge-demo', 'demo'), hostOf('chat', '/m/chat.gguf')])
    const error = thrownBy(() => catalogue.resolve('gpt-4o'))
    expect(error).toBeInstanceOf(ServerError)
    expect(error).toMatchObject({
      code: 'model_not_found',
      status: 404,
      param: 'model',
      message: 'The model "gpt-4o" does not exist; this server has "drawbridge-demo", "chat"'
    })
  })

  it('names at most eight', () => {
    const catalogue = createModelCatalogue(Array.from({ length: 11 }, (_, index) => hostOf(`m${index}`, `/m/${index}`)))
    expect(String(thrownBy(() => catalogue.resolve('x')))).toMatch(/"m7" and 3 more$/)
  })

  it('refuses two models of one name', () => {
    const error = thrownBy(() => createModelCatalogue([hostOf('chat', '/a/chat.gguf'), hostOf('chat', '/b/chat.gguf')]))
    expect(error).toBeInstanceOf(StartupError)
    expect(String(error)).toContain('/a/chat.gguf and /b/chat.gguf')
  })

  it('lists models in their configured order', () => {
    const catalogue = createModelCatalogue([hostOf('b', '/b'), hostOf('a', '/a')])
    expect(catalogue.list()).toEqual([
      { id: 'b', root: '/b', parent: null, createdAt: 1_700_000_000, contextSize: null },
      { id: 'a', root: '/a', parent: null, createdAt: 1_700_000_000, contextSize: null }
    ])
  })
})
