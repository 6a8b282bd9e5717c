import type { ModelHost } from '../../../src/models/model-host.ts'
import { describe, expect, it } from 'vitest'
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
  it('finds models by their ids and, when it is unambiguous, the place a model came from', () => {
    const demo = hostOf('drawbridge-demo', 'demo')
    const chat = hostOf('team/chat:v2', '/models/chat.gguf')
    const catalogue = createModelCatalogue([demo, chat])
    expect(catalogue.find('drawbridge-demo')).toBe(demo)
    expect(catalogue.find('demo')).toBe(demo)
    expect(catalogue.find('team/chat:v2')).toBe(chat)
    expect(catalogue.find('/models/chat.gguf')).toBe(chat)
    expect(catalogue.find('gpt-4o')).toBeNull()
  })

  it('prefers an id to a place of the same text', () => {
    const named = hostOf('demo', '/models/chat.gguf')
    const catalogue = createModelCatalogue([hostOf('drawbridge-demo', 'demo'), named])
    expect(catalogue.find('demo')).toBe(named)
  })

  it('does not guess between two models that came from the same place', () => {
    const catalogue = createModelCatalogue([hostOf('a', 'demo'), hostOf('b', 'demo')])
    expect(catalogue.find('demo')).toBeNull()
    expect(catalogue.find('b')?.id).toBe('b')
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
