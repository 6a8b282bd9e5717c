import { setTimeout as timeout } from 'node:timers/promises'
import type { Millis } from '../../domain/ids.ts'
import { planSize, type StepPlan } from '../../scheduler/plan.ts'

/** How long steps take. All zero: as fast as the machine can. */
export interface StepCosts {
  /** Every step. */
  readonly stepMs: Millis
  /** Per sequence that decodes. */
  readonly decodeTokenMs: Millis
  /** Per prompt token, and per guess. */
  readonly prefillTokenMs: Millis
  /** Per guess that a draft model makes, beside the above. */
  readonly draftTokenMs?: Millis
}

/**
 * The duration of a step by its costs.
 * @param drafted guesses that a draft model made; of those that a plan allows it some may be missing
 */
export function stepDuration (plan: StepPlan, costs: StepCosts, drafted = 0): Millis {
  const { decodes, promptTokens } = planSize(plan)
  const guesses = plan.work.reduce((sum, { guessCount = 0 }) => sum + guessCount, drafted)
  return costs.stepMs + costs.decodeTokenMs * decodes + costs.prefillTokenMs * (promptTokens + guesses) + (costs.draftTokenMs ?? 0) * drafted
}

/** Waits; rejects with the signal's reason when it fires. */
export type Sleep = (durationMs: Millis, signal: AbortSignal) => Promise<void>

/** Shorter waits are saved up: timers are no finer than this. */
const finestTimerMs = 1

/**
 * Sleeps in real time that are right on average: what one wait took too long, the next is shortened by. One per lane.
 * Without a duration it only lets other events through.
 */
export function createRealSleep (now: () => Millis = () => performance.now()): Sleep {
  let owedMs = 0
  return async (durationMs, signal) => {
    signal.throwIfAborted()
    owedMs += durationMs
    if (durationMs === 0 || owedMs < finestTimerMs) return await nextTurn()
    const startedAt = now()
    await timeout(owedMs, undefined, { signal })
    // Debts are not carried over a long stall: afterwards, steps take their usual time again.
    owedMs = Math.max(owedMs - (now() - startedAt), -durationMs)
  }
}

/** Lets I/O and other lanes have their turn; involves no timer. */
export const nextTurn = async (): Promise<void> => await new Promise((resolve) => { setImmediate(resolve) })
