import { ServerError } from '../../domain/errors.ts'
import type { SequenceId, Token } from '../../domain/ids.ts'
import { RecentlyUsed } from '../../domain/recently-used.ts'
import type { Sampling } from '../../domain/sampling.ts'
import { mixSeed } from '../../domain/seed.ts'
import { checkGbnf } from '../llama-cpp/gbnf-check.ts'
import { GrammarWalk, type GrammarPlace } from './grammar-walk.ts'
import { drawToken, type Distribution } from './hash-model.ts'
import type { Vocabulary } from './vocabulary.ts'

const maxKept = 32

/** Where a sequence is in its grammar. */
interface Position {
  readonly grammar: string
  readonly answerLength: number
  readonly place: GrammarPlace
}

/**
 * Grammars for the fake engine: what its model says is cut down to what the grammar allows, and where that is nothing, any token that
 * is allowed will do. Ends and brackets are a little more likely than letters, so that answers come to an end.
 */
export class FakeGrammars {
  readonly #vocabulary: Vocabulary
  readonly #endTokens: readonly Token[]
  readonly #walks = new RecentlyUsed<GrammarWalk>(maxKept)
  /** By sequence; what was drawn last is where the next draw begins. */
  readonly #positions = new Map<SequenceId, Position>()

  constructor (vocabulary: Vocabulary, endTokens: readonly Token[]) {
    this.#vocabulary = vocabulary
    this.#endTokens = endTokens
  }

  /** @throws ServerError `invalid_grammar` */
  check (grammar: string): void {
    this.#walkOf(grammar)
  }

  forget (sequence: SequenceId): void {
    this.#positions.delete(sequence)
  }

  /**
   * The distribution cut down to what the grammar allows; null where none counts, or not yet.
   * @param answer the tokens that were drawn so far
   * @param hash of all tokens so far
   * @throws ServerError `invalid_grammar` when no token continues the answer
   */
  restrict (
    distribution: Distribution, { grammar, grammarTrigger }: Sampling, sequence: SequenceId, answer: readonly Token[], hash: number
  ): Distribution | null {
    if (grammar === null) return null
    const walk = this.#walkOf(grammar)
    const place = this.#placeOf(walk, grammar, grammarTrigger, sequence, answer)
    if (place === null) return null
    const logits = new Map<number, number>(distribution.map(({ token, logit }) => [token, logit]))
    const allowed: { token: Token, logit: number }[] = []
    for (const [index, { bytes, kind }] of this.#vocabulary.entries.entries()) {
      const isText = kind !== 'control' && kind !== 'marker'
      if (!isText || bytes.length === 0 || walk.after(place, bytes) === null) continue
      const bonus = bytes.length === 1 && punctuation.includes(bytes[0]!) ? 3 : 0
      allowed.push({ token: index as Token, logit: logits.get(index) ?? bonus + 2 * mixSeed(hash, index) / 2 ** 32 })
    }
    if (walk.mayEnd(place)) for (const token of this.#endTokens.slice(0, 1)) allowed.push({ token, logit: 4 })
    if (allowed.length === 0) throw new ServerError('invalid_grammar', 'No token that may be drawn continues the answer as the grammar demands', { param: 'grammar' })
    return allowed.sort((a, b) => b.logit - a.logit || a.token - b.token)
  }

  #walkOf (grammar: string): GrammarWalk {
    return this.#walks.get(grammar, () => {
      checkGbnf(grammar)
      return new GrammarWalk(grammar)
    })
  }

  #placeOf (walk: GrammarWalk, grammar: string, trigger: string | null, sequence: SequenceId, answer: readonly Token[]): GrammarPlace | null {
    const known = this.#positions.get(sequence)
    const goesOn = known !== undefined && known.grammar === grammar && known.answerLength <= answer.length
    const from = goesOn ? known : trigger === null ? { answerLength: 0, place: walk.start } : this.#startOf(walk, trigger, answer)
    if (from === null || from.place === null) return null
    let { place } = from
    for (const token of answer.slice(from.answerLength)) {
      const after = walk.after(place, this.#vocabulary.entries[token]!.bytes)
      if (after === null) throw new ServerError('invalid_grammar', 'The answer has left its grammar', { param: 'grammar' })
      place = after
    }
    this.#positions.set(sequence, { grammar, answerLength: answer.length, place })
    return place
  }

  /**
   * Where a grammar is once the answer holds its trigger, which may begin within a token; null before that. Where it does not have what
   * came with the trigger it has no place, and does not count.
   */
  #startOf (walk: GrammarWalk, trigger: string, answer: readonly Token[]): { readonly answerLength: number, readonly place: GrammarPlace | null } | null {
    // One character for each byte.
    const marker = Buffer.from(trigger).toString('latin1')
    let text = ''
    for (const [index, token] of answer.entries()) {
      const from = Math.max(0, text.length - marker.length + 1)
      text += Buffer.from(this.#vocabulary.entries[token]!.bytes).toString('latin1')
      const at = text.indexOf(marker, from)
      if (at !== -1) return { answerLength: index + 1, place: walk.after(walk.start, Buffer.from(text.slice(at), 'latin1')) }
    }
    return null
  }
}

/** Draws what the grammar allows. Where that is only the end, options that forbid the end are without effect. */
export function drawByGrammar (allowed: Distribution, sampling: Sampling, index: number, endTokens: readonly Token[]): Token {
  const [first] = allowed
  if (first !== undefined && allowed.every(({ token }) => endTokens.includes(token))) return first.token
  const known = new Set<number>(allowed.map(({ token }) => token))
  return drawToken(allowed, { ...sampling, logitBias: sampling.logitBias.filter(([token]) => known.has(token)) }, index, endTokens)
}

const punctuation: readonly number[] = [...'"{}[]:,'].map((character) => character.charCodeAt(0))
