import { describe, expect, it } from 'vitest'
import { asSequenceId, asToken } from '../../../src/domain/ids.ts'
import type { TokenLogprob } from '../../../src/domain/sampling.ts'
import type { Tokenizer } from '../../../src/engine/engine.ts'
import { Choice } from '../../../src/inference/choice.ts'
import { TokenTexts } from '../../../src/inference/detokenizer.ts'
import type { GenerationEvent } from '../../../src/inference/inference.ts'

const pieces: readonly Uint8Array[] = ['Hel', 'lo', ' wor', 'ld', '!'].map((text) => Buffer.from(text))
  .concat([Buffer.from([0xc3]), Buffer.from([0xa9]), Buffer.alloc(0)])
const halves = { first: 5, second: 6 }
const control = 7

const tokenizer: Tokenizer = {
  tokenize: () => { throw new Error('not needed here') },
  tokenBytes: (token) => pieces[token] ?? new Uint8Array(),
  tokenText: (token) => token === control ? '<|end|>' : Buffer.from(pieces[token] ?? []).toString()
}

const logprobOf = (token: number): TokenLogprob => ({ token, logprob: -0.5, top: [{ token, logprob: -0.5 }] })

function createChoice (stop: readonly string[] = []): {
  take: (token: number, withLogprobs?: boolean) => void, choice: Choice, events: GenerationEvent[]
} {
  const events: GenerationEvent[] = []
  const choice = new Choice(0, asSequenceId('r/0'), stop, tokenizer, new TokenTexts(tokenizer))
  return {
    choice,
    events,
    take: (token, withLogprobs = false) => {
      choice.take(asToken(token), withLogprobs ? logprobOf(token) : undefined, (event) => events.push(event))
    }
  }
}

const textOf = (events: readonly GenerationEvent[]): string =>
  events.map((event) => event.type === 'text' ? event.text : '').join('')

const logprobsOf = (events: readonly GenerationEvent[]): string[] =>
  events.flatMap((event) => event.type === 'text' ? (event.logprobs ?? []).map(({ token }) => token) : [])

describe('Choice', () => {
  it('tells the log-probabilities of a token with its text, not before', () => {
    const { events, take } = createChoice(['!?'])
    take(4, true)
    take(4, true)
    take(1, true)
    expect(events).toMatchObject([
      { text: '!', logprobs: [{ token: '!' }] }, { text: '!lo', logprobs: [{ token: '!' }, { token: 'lo' }] }
    ])
  })

  it('emits text as it comes and counts its tokens', () => {
    const { choice, events, take } = createChoice()
    take(0)
    take(1)
    choice.end('stop', 3, (event) => events.push(event))
    expect(events).toEqual([
      { type: 'text', choice: 0, text: 'Hel', drawnTokens: 1 },
      { type: 'text', choice: 0, text: 'lo', drawnTokens: 2 },
      { type: 'choice-finished', choice: 0, reason: 'stop', stopText: null, completionTokens: 3 }
    ])
  })

  it('ends at a stop text across tokens, and emits none of it', () => {
    const { choice, events, take } = createChoice(['lo w'])
    for (const token of [0, 1, 2]) take(token)
    expect(textOf(events)).toBe('Hel')
    expect(choice.isFinished).toBe(true)
    expect(events.at(-1)).toMatchObject({ type: 'choice-finished', reason: 'stop', stopText: 'lo w', completionTokens: 3 })
  })

  it('emits what it held back when the sequence ends without the stop text', () => {
    const { choice, events, take } = createChoice(['world!'])
    for (const token of [0, 2, 3]) take(token)
    expect(textOf(events)).toBe('Hel ')
    choice.end('length', 3, (event) => events.push(event))
    expect(textOf(events)).toBe('Hel world')
  })

  it('tells log-probabilities with the text of their tokens, and none of a stop text', () => {
    const { events, take } = createChoice([' wor'])
    for (const token of [0, 1, 2]) take(token, true)
    expect(logprobsOf(events)).toEqual(['Hel', 'lo'])
  })

  it('tells the log-probabilities of half characters and of tokens without text', () => {
    const { choice, events, take } = createChoice()
    for (const token of [halves.first, halves.second, control]) take(token, true)
    choice.end('length', 3, (event) => events.push(event))
    const logprobs = events.flatMap((event) => event.type === 'text' ? event.logprobs ?? [] : [])
    expect(textOf(events)).toBe('é')
    expect(logprobs.map(({ bytes }) => bytes)).toEqual([[0xc3], [0xa9], [...Buffer.from('<|end|>')]])
  })
})
