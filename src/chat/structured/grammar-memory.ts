import { createHash } from 'node:crypto'
import { ServerError, type SerializedServerError } from '../../domain/errors.ts'
import { RecentlyUsed } from '../../domain/recently-used.ts'

/** What became of a grammar that was asked for: its text with whatever belongs to it, or why there is none. */
export type GrammarOutcome =
  | { readonly made: unknown }
  | { readonly refusal: SerializedServerError }

/** An outcome as another thread has found it. */
export interface LearnedGrammar {
  readonly key: string
  readonly outcome: GrammarOutcome
}

/** Grammars have up to 256 KiB each, a few KiB as a rule; a client sends the same tools with every turn of a conversation. */
const mostGrammars = 128
/** Some hundred bytes each. */
const mostRefusals = 2048

/** Thrown where a grammar is not known and is not to be made here. */
export class UnknownGrammar extends Error {}

/**
 * Grammars that were asked for last, and refusals: what was refused once is refused at once. Keys are digests of contents, so that memory
 * is bounded whatever is asked for.
 */
export class GrammarMemory {
  readonly #makes: boolean
  readonly #onMade: (learned: LearnedGrammar) => void
  readonly #grammars = new RecentlyUsed<Extract<GrammarOutcome, { readonly made: unknown }>>(mostGrammars)
  readonly #refusals = new RecentlyUsed<Extract<GrammarOutcome, { readonly refusal: unknown }>>(mostRefusals)

  /**
   * @param makes false where making one would keep others waiting: then {@link of} gives what it knows
   * @param onMade told of every outcome that was not known before
   */
  constructor ({ makes = true, onMade = () => {} }: { readonly makes?: boolean, readonly onMade?: (learned: LearnedGrammar) => void } = {}) {
    this.#makes = makes
    this.#onMade = onMade
  }

  /**
   * The grammar for a content, made when it is not known.
   * @param content all that decides it, as text
   * @throws ServerError that `make` has thrown, now or before; UnknownGrammar where none are made here
   */
  of<Grammar> (content: string, make: () => Grammar): Grammar {
    const key = createHash('sha256').update(content).digest('base64')
    const known = this.#grammars.known(key) ?? this.#refusals.known(key)
    if (known !== undefined) return valueOf(known) as Grammar
    if (!this.#makes) throw new UnknownGrammar('The grammar is not known here')
    const outcome = outcomeOf(make)
    this.learn({ key, outcome })
    this.#onMade({ key, outcome })
    return valueOf(outcome) as Grammar
  }

  learn ({ key, outcome }: LearnedGrammar): void {
    if ('made' in outcome) this.#grammars.put(key, outcome)
    else this.#refusals.put(key, outcome)
  }
}

function valueOf (outcome: GrammarOutcome): unknown {
  if ('made' in outcome) return outcome.made
  throw ServerError.deserialize(outcome.refusal)
}

function outcomeOf (make: () => unknown): GrammarOutcome {
  try {
    return { made: make() }
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    return { refusal: error.serialize() }
  }
}
