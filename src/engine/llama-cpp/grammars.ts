import { ServerError } from '../../domain/errors.ts'
import { checkGbnf } from './gbnf-check.ts'
import type { NativeBindings, NativeGrammar, NativeGrammarState, NativeModel } from './native.ts'
import { RecentlyUsed } from '../../domain/recently-used.ts'

/** Texts of up to 256 KiB each; clients use few of them, again and again. */
const maxKept = 32

/** Checks grammars and makes the states in which sequences walk through them. */
export class Grammars {
  readonly #bindings: NativeBindings
  readonly #model: NativeModel
  readonly #kept = new RecentlyUsed<NativeGrammar>(maxKept)

  constructor (bindings: NativeBindings, model: NativeModel) {
    this.#bindings = bindings
    this.#model = model
  }

  /** @throws ServerError `invalid_grammar` */
  check (text: string): void {
    this.#compile(text)
  }

  /** @throws ServerError `invalid_grammar` */
  createState (text: string): NativeGrammarState {
    return new this.#bindings.AddonGrammarEvaluationState(this.#model, this.#compile(text))
  }

  cloneState (state: NativeGrammarState): NativeGrammarState {
    return new this.#bindings.AddonGrammarEvaluationState(state)
  }

  /**
   * Walks a state over a token that was drawn elsewhere. End tokens are not part of a grammar's text and abort the process.
   * @throws when the grammar does not allow the token; the state is then of no further use.
   */
  accept (state: NativeGrammarState, token: number): void {
    if (!this.#model.isEogToken(token)) this.#bindings.AddonSampler.acceptGrammarEvaluationStateToken(state, token)
  }

  allows (state: NativeGrammarState, token: number): boolean {
    return this.#bindings.AddonSampler.canBeNextTokenForGrammarEvaluationState(state, token)
  }

  #compile (text: string): NativeGrammar {
    return this.#kept.get(text, () => {
      checkGbnf(text)
      try {
        return new this.#bindings.AddonGrammar(text, { addonExports: this.#bindings, rootRuleName: 'root' })
      } catch (error) {
        throw new ServerError('invalid_grammar', 'The grammar is invalid: llama.cpp refuses it. The usual reason is a repetition of something that can be empty', { param: 'grammar', cause: error })
      }
    })
  }
}
