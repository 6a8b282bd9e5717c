import type { Token } from '../../domain/ids.ts'
import { asToken } from '../../domain/ids.ts'
import type { Sampling, TokenCandidate, TokenLogprob } from '../../domain/sampling.ts'
import { mixSeed } from '../../domain/seed.ts'
import type { Vocabulary, WordKind } from './vocabulary.ts'

interface Candidate {
  readonly token: Token
  readonly logit: number
}

/** What the model says about the next token: a few likely candidates; all other tokens share one low logit. */
export type Distribution = readonly Candidate[]

/** Logit of every token that is not a candidate. */
const otherLogit = -8
const candidateCount = 12
/** Of how many ends of a sentence one is likely to be the end of the answer. */
const sentencesPerAnswer = 4

/** A noun is the subject of its clause or, behind a verb, an object of it. */
type Role = WordKind | 'object'
type Followers = readonly (readonly [WordKind, number])[]

/** What follows what, with weights. */
const grammar: Readonly<Record<Role, Followers>> = {
  opener: [['adjective', 2], ['noun', 3]],
  'spaced-opener': [['adjective', 2], ['noun', 3]],
  introduction: [['determiner', 1]],
  determiner: [['adjective', 2], ['noun', 3]],
  adjective: [['noun', 1]],
  noun: [['verb', 4], ['preposition', 1]],
  object: [['full-stop', 5], ['adverb', 1], ['preposition', 2], ['comma', 1]],
  verb: [['determiner', 1]],
  adverb: [['full-stop', 3], ['comma', 1]],
  preposition: [['determiner', 1]],
  comma: [['determiner', 1]],
  'full-stop': [['spaced-opener', 8], ['introduction', 2], ['picture', 2], ['newline', 1]],
  newline: [['opener', 1]],
  picture: [['spaced-opener', 3], ['newline', 1]]
}

/** How far back a noun looks for the verb of its clause, in tokens. */
const clauseLength = 12

/**
 * A language model in so far as it gives a distribution over next tokens: it is a pure function of a hash of all tokens
 * and of the last few of them, and reads as a sentence. Whatever goes wrong with a cache changes the hash, and so the text.
 */
export class HashModel {
  readonly #vocabulary: Vocabulary
  readonly #firstTokens: Readonly<Record<WordKind, readonly Token[]>>
  readonly #kinds: readonly WordKind[]
  readonly #longestSpelled: number

  constructor (vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    const firstTokens = (kind: WordKind): readonly Token[] => [
      ...vocabulary.byKind[kind],
      ...vocabulary.spelled.filter((word) => word.kind === kind).map((word) => word.tokens[0]!)
    ]
    this.#kinds = Object.keys(vocabulary.byKind) as WordKind[]
    this.#firstTokens = Object.fromEntries(
      this.#kinds.map((kind) => [kind, firstTokens(kind)])
    ) as Record<WordKind, readonly Token[]>
    this.#longestSpelled = Math.max(...vocabulary.spelled.map((word) => word.tokens.length))
  }

  get endToken (): Token { return this.#vocabulary.control['<|im_end|>'] }

  /**
   * @param hash of all tokens so far and whatever else decides (the adapter set)
   * @param tokens all tokens so far; only the last few are read
   */
  predict (hash: number, tokens: readonly Token[]): Distribution {
    const candidates: Candidate[] = []
    const continuation = this.#continuation(hash, tokens)
    // Inside a character nothing else makes sense.
    if (continuation !== null) candidates.push({ token: continuation, logit: 12 })
    const kind = this.#kindAtEnd(tokens)
    const mayEnd = kind === 'full-stop' || kind === 'picture'
    if (mayEnd && continuation === null) {
      const ends = mixSeed(hash, 0x656e64) % sentencesPerAnswer === 0
      candidates.push({ token: this.endToken, logit: ends ? 5 : 0 })
    }
    const followers = kind === null ? null : grammar[kind === 'noun' && this.#hasVerb(tokens) ? 'object' : kind]
    for (let rank = 0; rank < candidateCount; rank++) {
      const draw = mixSeed(hash, rank)
      const next = followers === null ? 'opener' : pickWeighted(followers, draw)
      const words = this.#firstTokens[next]
      const token = words[(draw >>> 8) % words.length]!
      if (candidates.some((other) => other.token === token)) continue
      candidates.push({ token, logit: 3 - 0.4 * rank + ((draw >>> 4) & 15) / 64 })
    }
    return candidates.sort((a, b) => b.logit - a.logit || a.token - b.token)
  }

  /** The next token of a spelled word that is under way; where several begin alike, the hash decides. */
  #continuation (hash: number, tokens: readonly Token[]): Token | null {
    for (let length = Math.min(this.#longestSpelled - 1, tokens.length); length >= 1; length--) {
      const begun = this.#vocabulary.spelled.filter((word) =>
        word.tokens.length > length && endsWith(tokens, word.tokens, length))
      if (begun.length > 0) return begun[mixSeed(hash, 0x7370) % begun.length]!.tokens[length]!
    }
    return null
  }

  /** Whether the clause that the tokens end in has a verb already. */
  #hasVerb (tokens: readonly Token[]): boolean {
    for (let index = tokens.length - 1; index >= Math.max(0, tokens.length - clauseLength); index--) {
      const { kind } = this.#vocabulary.entries[tokens[index]!]!
      if (kind === 'verb') return true
      if (kind === 'comma' || kind === 'control' || this.#vocabulary.byKind['full-stop'].includes(tokens[index]!)) return false
    }
    return false
  }

  #kindAtEnd (tokens: readonly Token[]): WordKind | null {
    const last = tokens.at(-1)
    if (last === undefined) return null
    for (const word of this.#vocabulary.spelled) {
      if (endsWith(tokens, word.tokens, word.tokens.length)) return word.kind
    }
    const { kind } = this.#vocabulary.entries[last]!
    if (kind !== 'byte') return kind === 'control' || kind === 'marker' ? null : kind
    return this.#kinds.find((candidate) => this.#vocabulary.byKind[candidate].includes(last)) ?? null
  }
}

/** Whether `tokens` end with the first `length` tokens of `word`. */
function endsWith (tokens: readonly Token[], word: readonly Token[], length: number): boolean {
  const start = tokens.length - length
  if (start < 0) return false
  for (let index = length - 1; index >= 0; index--) if (tokens[start + index] !== word[index]) return false
  return true
}

function pickWeighted (choices: Followers, draw: number): WordKind {
  const total = choices.reduce((sum, [, weight]) => sum + weight, 0)
  let left = draw % total
  for (const [kind, weight] of choices) {
    if (left < weight) return kind
    left -= weight
  }
  return choices[0]![0]
}

/**
 * Draws a token. Honours temperature, top-k, top-p, min-p, logit bias, min tokens and ignore-eos; penalties, DRY and XTC
 * are without effect here.
 *
 * @param index how many tokens of the sequence were drawn before; decides the draw together with the seed
 */
export function drawToken (
  distribution: Distribution,
  sampling: Sampling,
  index: number,
  endTokens: readonly Token[]
): Token {
  const banned = new Set<number>()
  if (sampling.ignoreEos || index < sampling.minTokens) for (const token of endTokens) banned.add(token)
  let candidates: readonly Candidate[] = distribution
  if (sampling.logitBias.length > 0) {
    const biases = new Map<number, number>(sampling.logitBias)
    for (const [token, bias] of biases) if (bias === -100) banned.add(token)
    candidates = [
      ...distribution.map(({ token, logit }) => ({ token, logit: logit + (biases.get(token) ?? 0) })),
      ...[...biases]
        .filter(([token]) => !distribution.some((candidate) => candidate.token === token))
        .map(([token, bias]) => ({ token: asToken(token), logit: otherLogit + bias }))
    ].sort((a, b) => b.logit - a.logit || a.token - b.token)
  }
  if (banned.size > 0) candidates = candidates.filter(({ token }) => !banned.has(token))
  if (candidates.length === 0) return firstNotIn(banned)
  if (sampling.temperature === 0) return candidates[0]!.token
  return drawFrom(candidates, sampling, index)
}

function drawFrom (candidates: readonly Candidate[], sampling: Sampling, index: number): Token {
  const { temperature, topK, topP, minP, seed } = sampling
  const kept = topK > 0 ? candidates.slice(0, topK) : candidates
  const best = kept[0]!.logit
  const weights = kept.map(({ logit }) => Math.exp((logit - best) / temperature))
  const sum = weights.reduce((total, weight) => total + weight, 0)
  let count = 0
  let mass = 0
  // Candidates are sorted: every cut is a prefix of them.
  while (count < weights.length) {
    const weight = weights[count]!
    if (count > 0 && (mass >= topP * sum || weight < minP * weights[0]!)) break
    mass += weight
    count++
  }
  let left = (mixSeed(seed, index) / 0x1_0000_0000) * mass
  for (let rank = 0; rank < count; rank++) {
    left -= weights[rank]!
    if (left < 0) return kept[rank]!.token
  }
  return kept[count - 1]!.token
}

function firstNotIn (banned: ReadonlySet<number>): Token {
  let token = 0
  while (banned.has(token)) token++
  return asToken(token)
}

/** Natural logarithms of the probabilities before any sampling option, over the whole vocabulary. */
export function tokenLogprob (
  distribution: Distribution,
  token: Token,
  alternatives: number,
  vocabularySize: number
): TokenLogprob {
  let mass = (vocabularySize - distribution.length) * Math.exp(otherLogit)
  for (const { logit } of distribution) mass += Math.exp(logit)
  const logMass = Math.log(mass)
  const own = distribution.find((candidate) => candidate.token === token)?.logit ?? otherLogit
  const top: TokenCandidate[] = distribution
    .slice(0, alternatives)
    .map((candidate) => ({ token: candidate.token, logprob: candidate.logit - logMass }))
  for (let other = 0; top.length < alternatives; other++) {
    if (distribution.some((candidate) => candidate.token === other)) continue
    top.push({ token: other, logprob: otherLogit - logMass })
  }
  return { token, logprob: own - logMass, top }
}
