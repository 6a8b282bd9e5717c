import type { Token } from '../../domain/ids.ts'
import type { StepPlan } from '../../scheduler/plan.ts'
import type { MarkerText } from './vocabulary.ts'

/**
 * - `reject`: the whole step is lost.
 * - `fail`: one slot is lost, the rest of the step is fine.
 * - `crash`: the process dies (whatever {@link FaultOptions.crash} does).
 * - `hang`: the step never ends.
 * - `slow`: the step takes {@link FaultOptions.slowStepMs} longer.
 */
export type FaultKind = 'reject' | 'fail' | 'crash' | 'hang' | 'slow'

export interface FaultOptions {
  /**
   * Prompts that hold `!reject`, `!fail`, `!crash`, `!hang` or `!slow` cause the fault in the step that draws their first
   * token; `!reject-later` and so on in the one that draws token number {@link laterIndex}.
   */
  readonly markers?: boolean
  /** Faults by number of the step: the engine's first step is 1. */
  readonly steps?: ReadonlyMap<number, FaultKind>
  /** Ends the process. The step that crashes never settles, should this return. */
  readonly crash?: () => void
  /** Default 1000. */
  readonly slowStepMs?: number
}

/** How many tokens a `-later` marker lets a sequence have before its fault. */
export const laterIndex = 8

export interface Fault {
  readonly kind: FaultKind
  /** Index into the plan's work of the sequence that caused it. */
  readonly workIndex: number
}

/** Finds out which fault a step has, if any. */
export class FaultScript {
  readonly #options: FaultOptions
  readonly #markers: ReadonlyMap<Token, MarkerText>
  #stepCount = 0

  constructor (options: FaultOptions, markers: ReadonlyMap<Token, MarkerText>) {
    this.#options = options
    this.#markers = markers
  }

  get slowStepMs (): number { return this.#options.slowStepMs ?? 1000 }

  crash (): void { this.#options.crash?.() }

  next (plan: StepPlan): Fault | null {
    this.#stepCount++
    const scripted = this.#options.steps?.get(this.#stepCount)
    if (scripted !== undefined) return { kind: scripted, workIndex: 0 }
    if (this.#options.markers !== true) return null
    for (const [workIndex, { sample, draft = 0, guessCount = draft }] of plan.work.entries()) {
      if (sample === undefined) continue
      const isLater = sample.index <= laterIndex && laterIndex <= sample.index + guessCount
      if (sample.index !== 0 && !isLater) continue
      for (let position = 0; position < sample.promptLength; position++) {
        const marker = this.#markers.get(sample.history[position]!)
        if (marker === undefined || marker.endsWith('-later') !== isLater) continue
        return { kind: marker.replace('!', '').replace('-later', '') as FaultKind, workIndex }
      }
    }
    return null
  }
}
