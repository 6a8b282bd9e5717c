import { ServerError } from '../../domain/errors.ts'
import type { Millis } from '../../domain/ids.ts'
import type { GrammarDrawLimits } from './engine-options.ts'

/** An ordinary draw under a grammar takes milliseconds; under one of thousands of alternatives a tenth of a second. */
export const defaultGrammarDrawLimits: GrammarDrawLimits = { slowMs: 2000, stuckMs: 10_000 }

/**
 * Carries out a draw under a grammar, within limits. No other draw may run meanwhile, or its time counts here.
 *
 * @param onStuck called while the draw still runs; it may go on for ever
 * @throws ServerError `invalid_grammar` when it took too long, and what the draw throws
 */
export async function drawWithin<Drawn> (
  { slowMs, stuckMs }: GrammarDrawLimits, draw: () => Promise<Drawn>, onStuck: (error: ServerError) => void
): Promise<Drawn> {
  const startedAt = performance.now()
  const startedCpu = process.cpuUsage()
  const timer = setTimeout(() => onStuck(tooAmbiguous(stuckMs, stuckMs)), stuckMs)
  let drawn: Drawn
  try {
    drawn = await draw()
  } finally {
    clearTimeout(timer)
  }
  // A machine that stood still is no fault of the grammar's, and other lanes may use the processor too: the lesser counts.
  const { user, system } = process.cpuUsage(startedCpu)
  const tookMs = Math.min(performance.now() - startedAt, (user + system) / 1000)
  if (tookMs > slowMs) throw tooAmbiguous(tookMs, slowMs)
  return drawn
}

const tooAmbiguous = (tookMs: Millis, limitMs: Millis): ServerError => new ServerError('invalid_grammar',
  `The grammar can read this answer in too many ways: a token took ${Math.floor(tookMs)} ms, and the limit is ${limitMs} ms. ` +
  'Rewrite rules whose alternatives begin alike, and repetitions within repetitions.', { param: 'grammar' })
