import type { SampleWork } from '../../scheduler/plan.ts'
import type { BreakerTails } from './dry-penalty.ts'
import type { Grammars } from './grammars.ts'
import type { NativeGrammarState } from './native.ts'
import type { SequenceBreakers } from './sequence-breakers.ts'

/**
 * What is kept between the draws of one sequence. All of it follows from the sampling and the history, so that a sequence
 * that comes back after it was released, in whatever slot or lane, goes on where it was.
 */
export class AnswerState {
  readonly #counts = new Map<number, number>()
  #countedTokens = 0
  #breakers: BreakerTails | null = null
  #grammar: NativeGrammarState | null = null
  #acceptedTokens = 0

  /** How often each token occurs in the answer so far. Cheap when called for every draw. */
  countsOf ({ history, promptLength }: SampleWork): ReadonlyMap<number, number> {
    const answerLength = history.length - promptLength
    if (answerLength < this.#countedTokens) {
      this.#counts.clear()
      this.#countedTokens = 0
    }
    for (; this.#countedTokens < answerLength; this.#countedTokens++) {
      const token = history[promptLength + this.#countedTokens] as number
      this.#counts.set(token, (this.#counts.get(token) ?? 0) + 1)
    }
    return this.#counts
  }

  breakersOf ({ sampling }: SampleWork, sequenceBreakers: SequenceBreakers): BreakerTails {
    return (this.#breakers ??= sequenceBreakers.tailsOf(sampling.drySequenceBreakers))
  }

  /**
   * The grammar's state after the answer so far; null where there is no grammar.
   * @throws ServerError `invalid_grammar`; another error when the answer does not follow the grammar
   */
  grammarOf ({ sampling, history, promptLength }: SampleWork, grammars: Grammars): NativeGrammarState | null {
    if (sampling.grammar === null) return null
    const answerLength = history.length - promptLength
    let state = answerLength < this.#acceptedTokens ? null : this.#grammar
    // A state is of no use after an error in it: it is only kept again when all went well.
    this.#grammar = null
    if (state === null) {
      state = grammars.createState(sampling.grammar)
      this.#acceptedTokens = 0
    }
    for (; this.#acceptedTokens < answerLength; this.#acceptedTokens++) {
      grammars.accept(state, history[promptLength + this.#acceptedTokens] as number)
    }
    return state
  }

  /** Takes the grammar's state back after a draw in which the sampler accepted a token. */
  keepGrammar (state: NativeGrammarState): void {
    this.#grammar = state
    this.#acceptedTokens++
  }
}
