import type { Token } from '../../domain/ids.ts'
import { guessesOf, type DrawnToken, type SampleWork, type SlotWork } from '../../scheduler/plan.ts'
import type { LogitIndex } from './native.ts'

type Draw = (index: LogitIndex) => Promise<DrawnToken>

/**
 * The draws of one piece of work: one token, and one more after each guess as long as the draw is what was guessed. Each is made as
 * if those before it had been decoded one by one, with their history and their number, so guesses change nothing but the time.
 *
 * The first draw's options are applied at once, while the decode may still run; the others' when their turn comes.
 *
 * @param indexes of the logits after the last known token and after each guess
 * @param prepare applies the options of one draw and gives the draw itself
 */
export function drawAlong (
  work: SlotWork, sample: SampleWork, indexes: readonly LogitIndex[], endTokens: readonly Token[], prepare: (sample: SampleWork) => Draw
): () => Promise<readonly DrawnToken[]> {
  const guesses = guessesOf(work)
  const drawFirst = prepare(sample)
  return async () => {
    const drawn: DrawnToken[] = []
    // The scheduler's own array is not for the engine to write to.
    const history = guesses.length === 0 ? [] : [...sample.history]
    for (const [at, index] of indexes.entries()) {
      const draw = at === 0 ? drawFirst : prepare({ ...sample, index: sample.index + at, history })
      const token = await draw(index)
      drawn.push(token)
      if (token.token !== guesses[at] || endTokens.includes(token.token)) break
      history.push(token.token)
    }
    return drawn
  }
}
