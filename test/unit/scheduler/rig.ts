import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asTenantId, asToken, type SequenceId, type Token } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { createFakeEngine, type FakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import type { FaultKind } from '../../../src/engine/fake/faults.ts'
import type { StepPlan } from '../../../src/scheduler/plan.ts'
import { Scheduler } from '../../../src/scheduler/scheduler.ts'
import type { NewSequence, SchedulerConfig, SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'

export interface Step {
  readonly plan: StepPlan
  readonly events: readonly SequenceEvent[]
}

/** Ids that a test reads. */
export const id = (name: string): SequenceId => asSequenceId(name)

/** `length` tokens that no other `seed` begins with. */
export const text = (seed: number, length: number): Token[] =>
  Array.from({ length }, (_, position) => asToken((seed * 31 + position * 7) % 256))

/** A scheduler with a fake engine under it, for tests that tell a story step by step. */
export class Rig {
  readonly scheduler: Scheduler
  readonly engine: FakeEngine
  now = 0

  /** @param draftAcceptance there is a draft model, whose guesses are right so often */
  constructor (config: Partial<SchedulerConfig> = {}, faults: ReadonlyMap<number, FaultKind> = new Map(), draftAcceptance?: number) {
    const full = {
      hasDraftModel: draftAcceptance !== undefined, laneCount: 1, slotsPerLane: 2, contextSize: 256, stepTokens: 64, threads: 4, maxQueue: 100, turnSteps: 4, policy: 'fair' as const, targetItlMs: 'auto' as const, ...config
    }
    const { laneCount, slotsPerLane, contextSize, stepTokens: maxStepTokens, threads } = full
    this.engine = createFakeEngine({
      laneCount, slotsPerLane, contextSize, maxStepTokens, threads, faults: { steps: faults }, draftAcceptance
    })
    this.scheduler = new Scheduler({ ...full, endTokens: this.engine.info.endTokens })
  }

  add (name: string, prompt: readonly Token[], options: Partial<NewSequence> = {}): void {
    this.scheduler.add(this.sequence(name, prompt, options), this.now)
  }

  sequence (name: string, prompt: readonly Token[], options: Partial<NewSequence> = {}): NewSequence {
    return {
      id: id(name),
      tenant: asTenantId('tenant'),
      adapters: baseAdapterSet,
      prompt,
      maxTokens: 8,
      // The length of an answer is what the test says.
      sampling: { ...greedySampling, ignoreEos: true },
      queueDeadline: Infinity,
      deadline: Infinity,
      ...options
    }
  }

  plan (lane = 0): StepPlan {
    const plan = this.scheduler.schedule(asLaneId(lane), this.now)
    if (plan === null) throw new Error('there is nothing to do')
    return plan
  }

  async carryOut (plan: StepPlan): Promise<Step> {
    const outcomes = await this.engine.step(plan).catch((error: unknown) =>
      plan.work.map(({ slot }) => ({ slot, error: error as Error })))
    return { plan, events: this.scheduler.commit(plan, outcomes, this.now) }
  }

  async step (lane = 0): Promise<Step> {
    return await this.carryOut(this.plan(lane))
  }

  isIdle (lane = 0): boolean { return this.scheduler.schedule(asLaneId(lane), this.now) === null }
}

/** What a plan does, one short line per sequence: `a 16+48` appends 48 tokens after 16; `*` where it draws, `?3` with a draft of 3. */
export const summary = (plan: StepPlan): string[] =>
  plan.work.map(({ sequence, keep, tokens, draft, sample, copyFrom }) =>
    `${sequence} ${copyFrom === undefined ? '' : `(copy of ${copyFrom}) `}${keep}+${tokens.length}${sample === undefined ? '' : '*'}${draft === undefined ? '' : `?${draft}`}`)
