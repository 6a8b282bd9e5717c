import type { Token } from '../../domain/ids.ts'
import type { SampleWork } from '../../scheduler/plan.ts'
import type { Tokenizer } from '../engine.ts'
import { ReasoningBudget } from '../reasoning-budget.ts'
import type { BreakerTails } from './dry-penalty.ts'
import type { Grammars } from './grammars.ts'
import { type GrammarStart, GrammarTrigger } from './grammar-trigger.ts'
import type { NativeGrammarState } from './native.ts'
import type { SequenceBreakers } from './sequence-breakers.ts'

const fromTheFirst: GrammarStart = { lead: [], next: 0, freeTokens: 0 }

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
  #isUnderGrammar = false
  #trigger: GrammarTrigger | null = null
  #start: GrammarStart | 'never' | null = null
  #budget: ReasoningBudget | null = null

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

  /** The token that comes next because reasoning has had its tokens; null where the draw is free. */
  forcedOf ({ sampling, history, promptLength }: SampleWork, tokenizer: Tokenizer): Token | null {
    if (sampling.reasoningLimit === null) return null
    const answerLength = history.length - promptLength
    if (this.#budget === null || answerLength < this.#budget.seen) this.#budget = new ReasoningBudget(sampling.reasoningLimit, tokenizer)
    while (this.#budget.seen < answerLength) this.#budget.push(history[promptLength + this.#budget.seen] as number)
    return this.#budget.next
  }

  /** Whether the grammar counted at the draw that was prepared last. */
  get isUnderGrammar (): boolean { return this.#isUnderGrammar }

  /**
   * The grammar's state after the answer so far; null where there is no grammar, or where it does not count yet.
   * @throws ServerError `invalid_grammar`; another error when the answer does not follow the grammar
   */
  grammarOf (work: SampleWork, grammars: Grammars, tokenizer: Tokenizer): NativeGrammarState | null {
    const { sampling, history, promptLength } = work
    this.#isUnderGrammar = false
    if (sampling.grammar === null) return null
    const start = sampling.grammarTrigger === null ? fromTheFirst : this.#startOf(work, sampling.grammarTrigger, tokenizer)
    if (start === null || start === 'never') return null
    const answerLength = history.length - promptLength
    let state = answerLength < this.#acceptedTokens ? null : this.#grammar
    // A state is of no use after an error in it: it is only kept again when all went well.
    this.#grammar = null
    if (state === null) {
      state = grammars.createState(sampling.grammar)
      try {
        this.#acceptedTokens = start.next
        for (const token of start.lead) grammars.accept(state, token)
        for (; this.#acceptedTokens < start.freeTokens; this.#acceptedTokens++) {
          grammars.accept(state, history[promptLength + this.#acceptedTokens] as number)
        }
      } catch {
        // What came with the trigger is drawn; a grammar that does not allow it would end the answer.
        this.#start = 'never'
        return null
      }
    }
    for (; this.#acceptedTokens < answerLength; this.#acceptedTokens++) {
      grammars.accept(state, history[promptLength + this.#acceptedTokens] as number)
    }
    this.#isUnderGrammar = true
    return state
  }

  /** Takes the grammar's state back after a draw in which the sampler accepted a token. */
  keepGrammar (state: NativeGrammarState): void {
    this.#grammar = state
    this.#acceptedTokens++
  }

  #startOf ({ history, promptLength }: SampleWork, text: string, tokenizer: Tokenizer): GrammarStart | 'never' | null {
    const answerLength = history.length - promptLength
    if (this.#trigger === null || answerLength < this.#trigger.seen) {
      this.#trigger = new GrammarTrigger(text, tokenizer)
      this.#start = null
    }
    while (this.#start === null && this.#trigger.seen < answerLength) {
      const found = this.#trigger.push(history[promptLength + this.#trigger.seen] as number)
      this.#start = found === 'unreachable' ? 'never' : found
    }
    return this.#start
  }
}
