import { DurationByCount } from '../../domain/duration-by-count.ts'
import type { Millis } from '../../domain/ids.ts'
import { attentionTile } from './piece.ts'

/** A step may take this long beside flowing streams, unless a target says otherwise: ten tokens per second still read well. */
const defaultTargetMs = 100
/**
 * By default prompts have at least this many times the time that the streams' own tokens take in a step: where decodes are slow,
 * the target alone would let prompts wait for ever. It costs them a ninth of their speed at worst.
 */
const leastTimesDecode = 8
/** Prompts go on, however short the target. */
const smallestPiece = 16
/** Beside decodes the first token of a piece goes along with them. */
const wholePiece = attentionTile + 1
/** Where smaller pieces are slower by more than this, a short step reads a whole piece all the same. */
const littleSlower = 1.25
/** A short step may take so many times what a decode takes: the smaller the pieces, the more of them pay for a pass. */
const shortTimesDecode = 1.5
/** By default a step may take so long for the sake of a whole piece. */
const longestForWholePieceMs = 500
/** Or so many times what it should take, where smaller pieces are slower by as much: gaps are longer, but there are fewer of them by more. */
const mostStretch = 2
/** What a whole piece took counts so much less with every smaller one. */
const fading = 0.99
/** How much of a measure is the latest step's. */
const newest = 0.25

/**
 * How much of prompts one lane may read while streams of it wait for their next token. From the
 * durations of past steps it learns what decodes and prompt tokens take, and sizes the pieces so that streams keep to the target
 * (chunked prefill after Sarathi-Serve, Agrawal et al., OSDI 2024, with a budget in time instead of tokens).
 */
export class Rhythm {
  #targetMs: Millis | 'auto'
  /** A step that only decodes; null before the first. */
  #decodeMs: Millis | null = null
  /** The same, by how many sequences decode. */
  readonly #decodeTimes = new DurationByCount()
  /** What a prompt token adds to a step, in whole pieces and in smaller ones; null before the first. */
  #wholePieceTokenMs: Millis | null = null
  #smallPieceTokenMs: Millis | null = null

  constructor (targetMs: Millis | 'auto') {
    this.#targetMs = targetMs
  }

  /** What was learned from past steps stays. */
  aimAt (targetMs: Millis | 'auto'): void {
    this.#targetMs = targetMs
  }

  /**
   * What prompts and the like may take between two tokens of flowing streams.
   * @param streams how many wait meanwhile; where there are none, those are meant that decode at present
   */
  spareMs (streams: number): Millis {
    const decodeMs = (streams === 0 ? null : this.#decodeTimes.estimate(streams)) ?? this.#decodeMs ?? 0
    return this.#targetMs === 'auto' ? Math.max(defaultTargetMs - decodeMs, leastTimesDecode * decodeMs) : this.#targetMs - decodeMs
  }

  /** What a prompt token takes; 0 before the first. */
  get promptTokenMs (): Millis { return this.#wholePieceTokenMs ?? this.#smallPieceTokenMs ?? 0 }

  /**
   * Prompt tokens to read between two tokens of streams; at least `smallestPiece`, and Infinity when they cost nothing.
   * @param streams as for `spareMs`
   */
  promptBudget (streams = 0): number {
    const tokenMs = this.#wholePieceTokenMs
    if (tokenMs === null) return wholePiece
    const roomMs = this.spareMs(streams)
    const smallMs = this.#smallPieceTokenMs ?? tokenMs
    const stretch = smallMs > tokenMs ? Math.min(mostStretch, smallMs / tokenMs) : 1
    const wholeRoomMs = this.#targetMs === 'auto' ? Math.max(stretch * roomMs, longestForWholePieceMs) : roomMs
    if (wholePiece * tokenMs <= wholeRoomMs) return Math.max(wholePiece, tokensIn(roomMs, tokenMs))
    return Math.min(wholePiece - 1, Math.max(smallestPiece, tokensIn(roomMs, smallMs)))
  }

  /** Prompt tokens that may still be read before streams have their next token that have waited so long already. */
  furtherBudget (streams: number, waitedMs: Millis): number {
    const roomMs = this.spareMs(streams) - waitedMs
    return this.#wholePieceTokenMs === null || roomMs <= 0 ? 0 : tokensIn(roomMs, this.#wholePieceTokenMs)
  }

  /** Several prompts may have so many tokens together in one step, at whose end all of them have their first token drawn. */
  get sharedBudget (): number {
    return tokensIn(this.#targetMs === 'auto' ? defaultTargetMs : this.#targetMs, this.promptTokenMs)
  }

  /** Prompt tokens for a step that is to end soon, hardly later than a decode; but whole pieces where smaller ones are much slower. */
  get shortBudget (): number {
    const [wholeMs, smallMs] = [this.#wholePieceTokenMs, this.#smallPieceTokenMs]
    const tokens = tokensIn(shortTimesDecode * (this.#decodeMs ?? 0), smallMs ?? wholeMs ?? 0)
    const isSmallGood = smallMs !== null && wholeMs !== null && smallMs <= littleSlower * wholeMs
    return Math.min(this.promptBudget(), Math.max(isSmallGood ? smallestPiece : wholePiece, tokens))
  }

  /** A step took so long. */
  learn (step: { readonly decodes: number, readonly promptTokens: number, readonly durationMs: Millis }): void {
    const { decodes, promptTokens, durationMs } = step
    if (promptTokens === 0) {
      this.#decodeMs = mix(this.#decodeMs, durationMs)
      this.#decodeTimes.learn(decodes, durationMs)
      return
    }
    // Of a mixed step the decodes' share is only known once there was a step without prompts.
    if (decodes > 0 && this.#decodeMs === null) return
    const tokenMs = Math.max(0, durationMs - (decodes > 0 ? this.#decodeTimes.estimate(decodes) ?? this.#decodeMs ?? 0 : 0)) / promptTokens
    if (promptTokens >= (decodes > 0 ? wholePiece : attentionTile)) {
      this.#wholePieceTokenMs = mix(this.#wholePieceTokenMs, tokenMs)
    } else {
      // Of the few tokens at the end of a prompt, a step's own time is the most.
      if (promptTokens >= smallestPiece) this.#smallPieceTokenMs = mix(this.#smallPieceTokenMs, tokenMs)
      // Where pieces are small for long, a whole one is tried now and then: the machine may be faster by now.
      if (this.promptBudget() < wholePiece && this.#wholePieceTokenMs !== null) this.#wholePieceTokenMs *= fading
    }
  }
}

const mix = (known: number | null, latest: number): number => known === null ? latest : known + newest * (latest - known)

/** There may be neither time nor cost. */
const tokensIn = (roomMs: Millis, tokenMs: Millis): number => tokenMs === 0 ? Infinity : Math.floor(roomMs / tokenMs)
