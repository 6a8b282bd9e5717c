import type { FinishReason } from '../domain/finish-reason.ts'
import type { SequenceId, Token } from '../domain/ids.ts'
import type { TokenLogprob } from '../domain/sampling.ts'
import type { Tokenizer } from '../engine/engine.ts'
import { Detokenizer, type TokenTexts } from './detokenizer.ts'
import type { GenerationEvent, TextLogprob } from './inference.ts'
import { StopMatcher } from './stop-matcher.ts'

/** A log-probability that waits for its token's text to be emitted. */
interface PendingLogprob {
  /** Offset in the choice's text at which the token's text starts. */
  readonly start: number
  readonly logprob: TextLogprob
}

/** One choice of a request on its way from tokens to text events. */
export class Choice {
  readonly index: number
  readonly sequence: SequenceId
  readonly #tokenizer: Tokenizer
  readonly #detokenizer: Detokenizer
  readonly #stops: StopMatcher
  #drawnTokens = 0
  /** Characters of text so far, held back or not, and of those emitted. */
  #length = 0
  #emitted = 0
  #pendingLogprobs: PendingLogprob[] = []
  isFinished = false

  constructor (index: number, sequence: SequenceId, stop: readonly string[], tokenizer: Tokenizer, texts: TokenTexts, shown?: ReadonlyMap<Token, string>) {
    this.index = index
    this.sequence = sequence
    this.#tokenizer = tokenizer
    this.#detokenizer = new Detokenizer(texts, shown)
    this.#stops = new StopMatcher(stop)
  }

  get drawnTokens (): number { return this.#drawnTokens }

  /** Takes a drawn token; emits what text it brings, and the end of the choice when it completes a stop text. */
  take (token: Token, logprobs: TokenLogprob | undefined, emit: (event: GenerationEvent) => void): void {
    this.#drawnTokens++
    if (logprobs !== undefined) {
      this.#pendingLogprobs.push({ start: this.#length, logprob: this.#inText(logprobs) })
    }
    const piece = this.#detokenizer.push(token)
    if (piece === '') return
    this.#length += piece.length
    const { text, stopText } = this.#stops.push(piece)
    this.#emit(text, emit)
    if (stopText !== null) this.#finish('stop', stopText, this.#drawnTokens, emit)
  }

  /** The sequence has ended by itself: what was held back can be emitted now. */
  end (reason: FinishReason, drawnTokens: number, emit: (event: GenerationEvent) => void): void {
    this.#drawnTokens = drawnTokens
    this.#emit(this.#stops.flush(), emit)
    if (this.#pendingLogprobs.length > 0) this.#emitAll('', this.#pendingLogprobs.splice(0), emit)
    this.#finish(reason, null, drawnTokens, emit)
  }

  #finish (
    reason: FinishReason, stopText: string | null, completionTokens: number, emit: (event: GenerationEvent) => void
  ): void {
    this.isFinished = true
    emit({ type: 'choice-finished', choice: this.index, reason, stopText, completionTokens })
  }

  #emit (text: string, emit: (event: GenerationEvent) => void): void {
    if (text === '') return
    this.#emitted += text.length
    const ready = this.#pendingLogprobs.findIndex(({ start }) => start >= this.#emitted)
    this.#emitAll(text, this.#pendingLogprobs.splice(0, ready === -1 ? this.#pendingLogprobs.length : ready), emit)
  }

  #emitAll (text: string, logprobs: readonly PendingLogprob[], emit: (event: GenerationEvent) => void): void {
    emit({
      type: 'text',
      choice: this.index,
      text,
      drawnTokens: this.#drawnTokens,
      ...(logprobs.length === 0 ? {} : { logprobs: logprobs.map(({ logprob }) => logprob) })
    })
  }

  #inText ({ token, logprob, top }: TokenLogprob): TextLogprob {
    return {
      ...this.#candidateInText(token as Token, logprob),
      top: top.map((candidate) => this.#candidateInText(candidate.token as Token, candidate.logprob))
    }
  }

  #candidateInText (token: Token, logprob: number): Omit<TextLogprob, 'top'> {
    const bytes = this.#tokenizer.tokenBytes(token)
    const text = this.#tokenizer.tokenText(token)
    return { token: text, logprob, bytes: bytes.length === 0 ? [...Buffer.from(text)] : [...bytes] }
  }
}
