import type { ComputedOutcome, SlotWork } from './plan.ts'
import type { Progress } from './sequence.ts'

/** What a scheduler has done since it was made; see `SchedulerSnapshot`. */
export class Counters {
  steps = 0
  promptTokens = 0
  prefixQueriedTokens = 0
  prefixHitTokens = 0
  drawnTokens = 0
  guessedTokens = 0
  rightGuesses = 0
  draftedTokens = 0
  rightDrafts = 0
  preempted = 0
  recomputedTokens = 0
  added = 0
  finished = 0
  failed = 0
  aborted = 0

  /** A piece of work was computed. */
  noteProgress ({ promptTokens, recomputedTokens }: Progress): void {
    this.promptTokens += promptTokens
    this.recomputedTokens += recomputedTokens
  }

  /** What was guessed in a piece of work, and what of it was right. */
  noteGuesses ({ guessCount = 0, draft }: SlotWork, { further = [], drafted }: ComputedOutcome): void {
    this.guessedTokens += guessCount + (drafted?.count ?? 0)
    this.rightGuesses += further.length
    if (draft === undefined) return
    this.draftedTokens += drafted?.count ?? 0
    this.rightDrafts += further.length
  }
}
