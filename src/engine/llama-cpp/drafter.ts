import type { SequenceId, Token } from '../../domain/ids.ts'
import type { DraftOutcome, SampleWork } from '../../scheduler/plan.ts'
import { AnswerState } from './answer-state.ts'
import type { EngineLogger } from './engine-options.ts'
import type { LogitIndex, NativeContext } from './native.ts'
import { SlotSampler, type SamplingParts } from './slot-sampler.ts'

export interface DrafterOptions {
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  /** Of both models: tokens beyond are not known to one of them. */
  readonly vocabularySize: number
  readonly threads: number
  readonly logger: EngineLogger
}

/** What a slot wants to have drafted. */
export interface DraftWish {
  /** llama.cpp's sequence of the slot. */
  readonly slot: number
  readonly sequence: SequenceId
  readonly sample: SampleWork
  /** Most guesses. */
  readonly most: number
}

export interface Draft {
  readonly tokens: readonly Token[]
  readonly outcome: DraftOutcome
}

/** What the draft model's cache has of a slot. */
interface Held {
  /** All tokens in the cache. */
  tokens: Token[]
  /** Whose they were last, and how many of them are known to be what it has said. */
  sequence: SequenceId | null
  agreed: number
}

/** A slot that drafts in this step. */
interface Drafting {
  readonly wish: DraftWish
  readonly held: Held
  /** What the sequence has said, and what was guessed. */
  readonly history: Token[]
  readonly answer: AnswerState
  readonly guesses: Token[]
}

/**
 * Most tokens that are read, over all slots, to catch up in one step; streams wait for it. More than that is left for further steps, and
 * there are no guesses until then.
 */
const readAtOnce = 256
/** A slot that is behind by no more than this, which it has said since its last draft, drafts at once. */
const mostBehind = 32
/** When all guesses were right, the last of them and the token drawn after it are to be read. */
const leastBehind = 2

/** Most tokens in one decode of a drafter. */
export const draftBatchSize = (slotsPerLane: number): number => Math.max(readAtOnce, slotsPerLane * leastBehind)

/**
 * The draft model's side of a lane: a context with the same slots, whose caches follow those of the lane as far as guesses are wanted. It
 * reads a sequence when its first draft is wanted, and again only what has changed, so it costs nothing as long as nobody asks.
 *
 * Guesses are drawn as the model itself draws: with the sequence's sampling and the same dice at the same place. Where the two models think
 * alike, equal dice give equal tokens.
 */
export class Drafter {
  readonly #options: DrafterOptions
  readonly #context: NativeContext
  readonly #parts: SamplingParts
  readonly #held: readonly Held[]
  readonly #samplers: readonly SlotSampler[]
  readonly #fewBehind: number
  #threads: number
  #isBroken = false

  /** Owns the context from now on. */
  constructor (options: DrafterOptions, context: NativeContext, parts: SamplingParts) {
    this.#options = options
    this.#context = context
    this.#parts = parts
    this.#threads = options.threads
    this.#fewBehind = Math.max(leastBehind, Math.min(mostBehind, Math.floor(readAtOnce / options.slotsPerLane)))
    this.#held = Array.from({ length: options.slotsPerLane }, () => ({ tokens: [], sequence: null, agreed: 0 }))
    this.#samplers = Array.from({ length: options.slotsPerLane }, () => new SlotSampler(parts, context))
  }

  /**
   * Guesses, for all slots at once, what their sequences draw next; by the slot. Slots for which it cannot guess are left out. Never
   * rejects: what goes wrong only costs the guesses, now and from then on.
   */
  async draft (wishes: readonly DraftWish[], threads: number): Promise<ReadonlyMap<number, Draft>> {
    const drafts = new Map<number, Draft>()
    if (this.#isBroken) return drafts
    if (threads !== this.#threads) {
      this.#context.setThreads(threads)
      this.#threads = threads
    }
    const startedAt = performance.now()
    try {
      const { drafting, reading } = await this.#catchUp(wishes)
      const drawsFrom = performance.now()
      await this.#draw(drafting)
      const readMs = (drawsFrom - startedAt) / (drafting.length + reading.length)
      const durationMs = (performance.now() - drawsFrom) / drafting.length
      for (const { slot } of reading) drafts.set(slot, { tokens: [], outcome: { count: 0, durationMs: 0, readMs, isBehind: true } })
      for (const { wish: { slot }, guesses } of drafting) drafts.set(slot, { tokens: guesses, outcome: { count: guesses.length, durationMs, readMs } })
    } catch (error) {
      this.#isBroken = true
      this.#options.logger.warn({ error }, 'the draft model failed; it makes no more guesses')
    }
    return drafts
  }

  /** So that the first draft finds the weights read and the buffers made. */
  async warmUp (): Promise<void> {
    this.#context.initBatch(1)
    this.#context.addToBatch(0, 0, Uint32Array.of(0), Uint32Array.of(0))
    await this.#context.decodeBatch()
    this.#context.removeTokenCellsFromSequence(0, 0, -1)
  }

  async dispose (): Promise<void> {
    for (const sampler of this.#samplers) sampler.dispose()
    await this.#context.dispose()
  }

  /** Brings the slots' caches up to their sequences, or nearer. Those that are there, but for a few tokens, can draft. */
  async #catchUp (wishes: readonly DraftWish[]): Promise<{ readonly drafting: readonly Drafting[], readonly reading: readonly DraftWish[] }> {
    const { contextSize, vocabularySize } = this.#options
    const drafting: Drafting[] = []
    const reading: DraftWish[] = []
    const pieces: { readonly held: Held, readonly slot: number, readonly tokens: readonly Token[] }[] = []
    let room = readAtOnce
    for (const wish of wishes) {
      const { slot, sample: { history } } = wish
      const held = this.#held[slot] as Held
      if (history.length >= contextSize) continue
      this.#cut(wish, held)
      const behind = history.length - held.tokens.length
      // It never gets past a token that it does not know.
      if (history.slice(held.tokens.length).some((token) => token >= vocabularySize)) continue
      if (behind > this.#fewBehind) {
        const tokens = history.slice(held.tokens.length, held.tokens.length + Math.min(room, behind - 1))
        room -= tokens.length
        if (tokens.length > 0) pieces.push({ held, slot, tokens })
        if (tokens.length < behind - 1) {
          reading.push(wish)
          continue
        }
      }
      drafting.push({ wish, held, history: [...history], answer: new AnswerState(), guesses: [] })
    }
    if (pieces.length > 0) {
      this.#context.initBatch(pieces.reduce((sum, { tokens }) => sum + tokens.length, 0))
      for (const { held, slot, tokens } of pieces) {
        this.#context.addToBatch(slot, held.tokens.length, Uint32Array.from(tokens), new Uint32Array(0))
        held.tokens.push(...tokens)
      }
      await this.#context.decodeBatch()
      for (const { held } of pieces) held.agreed = held.tokens.length
    }
    return { drafting, reading }
  }

  /** Keeps what the slot's cache and the sequence have in common; at least the sequence's last token is left to be read. */
  #cut ({ slot, sequence, sample: { history } }: DraftWish, held: Held): void {
    // What was compared before is as it was, as long as the slot serves the same sequence.
    let common = held.sequence === sequence ? Math.min(held.agreed, history.length - 1) : 0
    while (common < held.tokens.length && common < history.length - 1 && held.tokens[common] === history[common]) common++
    if (common < held.tokens.length) {
      if (!this.#context.removeTokenCellsFromSequence(slot, common, -1)) throw new Error(`the draft of slot ${slot} cannot be cut to ${common} tokens`)
      held.tokens.length = common
    }
    held.sequence = sequence
    held.agreed = common
  }

  /** One token for each slot in each round, until every slot has what it wants. */
  async #draw (drafting: readonly Drafting[]): Promise<void> {
    let active = drafting
    while (active.length > 0) {
      const tokenCount = active.reduce((sum, { history, held }) => sum + history.length - held.tokens.length, 0)
      this.#context.initBatch(tokenCount)
      const indexes = active.map(({ wish: { slot }, history, held }) => {
        const tokens = history.slice(held.tokens.length)
        const [index] = this.#context.addToBatch(slot, held.tokens.length, Uint32Array.from(tokens), Uint32Array.of(tokens.length - 1))
        held.tokens.push(...tokens)
        return index as LogitIndex
      })
      const decoded = this.#context.decodeBatch()
      const draws = active.map((each) => this.#prepare(each))
      await decoded
      const goesOn = await Promise.all(active.map(async ({ wish, history, guesses }, at) => {
        const token = await draws[at]?.(indexes[at] as LogitIndex) ?? null
        // Nothing follows the end of an answer; and what the model does not know cannot be right.
        if (token === null || token >= this.#options.vocabularySize || this.#parts.endTokens.includes(token)) return false
        guesses.push(token)
        history.push(token)
        return guesses.length < wish.most && history.length < this.#options.contextSize
      }))
      active = active.filter((_, at) => goesOn[at])
    }
  }

  /** Null where the sampling leaves nothing to draw, which the model itself will say. */
  #prepare ({ wish: { slot, sample }, history, answer, guesses }: Drafting): ((index: LogitIndex) => Promise<Token | null>) | null {
    try {
      const draw = (this.#samplers[slot] as SlotSampler).prepare({
        ...sample, sampling: { ...sample.sampling, logprobs: null }, index: sample.index + guesses.length, history
      }, answer)
      return async (index) => await draw(index).then(({ token }) => token, () => null)
    } catch {
      return null
    }
  }
}
