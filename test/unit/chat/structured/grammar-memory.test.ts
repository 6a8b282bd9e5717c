import { describe, expect, it } from 'vitest'
import { GrammarMemory, type LearnedGrammar, UnknownGrammar } from '../../../../src/chat/structured/grammar-memory.ts'
import { ServerError } from '../../../../src/domain/errors.ts'

const refuse = (): never => { throw new ServerError('unsupported_value', 'too much', { param: 'tools' }) }
const neverMade = (): never => { throw new Error('made') }

describe('a memory of grammars', () => {
  it('makes each once, null too', () => {
    const memory = new GrammarMemory()
    expect(memory.of('a', () => 'A')).toBe('A')
    expect(memory.of('none', () => null)).toBe(null)
    expect([memory.of('a', neverMade), memory.of('none', neverMade)]).toEqual(['A', null])
  })

  it('refuses again what was refused', () => {
    const memory = new GrammarMemory()
    const refusal = expect.objectContaining({ code: 'unsupported_value', message: 'too much', param: 'tools' })
    expect(() => memory.of('a', refuse)).toThrow(refusal)
    expect(() => memory.of('a', neverMade)).toThrow(refusal)
  })

  it('does not keep what went wrong for another reason', () => {
    const memory = new GrammarMemory()
    expect(() => memory.of('a', neverMade)).toThrow('made')
    expect(memory.of('a', () => 'A')).toBe('A')
  })

  it('is bounded: refusals push out refusals, and no grammars', () => {
    const memory = new GrammarMemory()
    memory.of('a', () => 'A')
    for (let index = 0; index < 3000; index++) expect(() => memory.of(`refused ${index}`, refuse)).toThrow('too much')
    expect(memory.of('a', neverMade)).toBe('A')
    expect(() => memory.of('refused 2999', neverMade)).toThrow('too much')
    expect(memory.of('refused 0', () => 'forgotten')).toBe('forgotten')
    for (let index = 0; index < 300; index++) memory.of(`made ${index}`, () => 'B')
    expect(memory.of('a', () => 'again')).toBe('again')
  })

  it('learns what another one has made', () => {
    const learned: LearnedGrammar[] = []
    const maker = new GrammarMemory({ onMade: (one) => learned.push(one) })
    maker.of('a', () => 'A')
    maker.of('a', () => 'A')
    expect(() => maker.of('b', refuse)).toThrow('too much')
    expect(learned.length).toBe(2)

    const memory = new GrammarMemory({ makes: false })
    expect(() => memory.of('a', neverMade)).toThrow(UnknownGrammar)
    for (const one of learned) memory.learn(one)
    expect(memory.of('a', neverMade)).toBe('A')
    expect(() => memory.of('b', neverMade)).toThrow('too much')
    expect(() => memory.of('c', neverMade)).toThrow(UnknownGrammar)
  })
})
