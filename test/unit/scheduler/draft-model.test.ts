import { describe, expect, it } from 'vitest'
import { asToken } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { DraftTrust } from '../../../src/scheduler/policies/draft-trust.ts'
import type { DraftOutcome, StepPlan } from '../../../src/scheduler/plan.ts'
import type { NewSequence, SchedulerConfig } from '../../../src/scheduler/scheduler-types.ts'
import { id, Rig, summary, text } from './rig.ts'

describe('DraftTrust', () => {
  it('expects of a new sequence what those before it showed, and learns for each by itself', () => {
    const ofAll = new DraftTrust()
    const first = new DraftTrust(ofAll)
    const before = first.chance
    for (let step = 0; step < 40; step++) first.observe(3, 0)
    expect(first.chance).toBeLessThan(0.1)
    const second = new DraftTrust(ofAll)
    expect(second.chance).toBeLessThan(before / 2)
    for (let step = 0; step < 40; step++) second.observe(3, 3)
    expect(second.chance).toBeGreaterThan(0.85)
    expect(first.chance).toBeLessThan(second.chance)
  })

  it('counts what is behind a wrong guess neither as right nor as wrong', () => {
    const [long, short] = [new DraftTrust(), new DraftTrust()]
    long.observe(15, 2)
    short.observe(3, 2)
    expect(long.chance).toBe(short.chance)
    // All of them right: none was wrong.
    short.observe(2, 2)
    long.observe(3, 2)
    expect(short.chance).toBeGreaterThan(long.chance)
  })

  it('forgets slowly what was poor, where it is not asked', () => {
    const trust = new DraftTrust()
    const hoped = trust.chance
    for (let step = 0; step < 40; step++) trust.observe(1, 0)
    const poor = trust.chance
    for (let step = 0; step < 50; step++) trust.passOver()
    expect(trust.chance).toBeLessThan(poor + 0.1)
    for (let step = 0; step < 2000; step++) trust.passOver()
    expect(trust.chance).toBeCloseTo(hoped, 2)
  })
})

interface Times {
  /** Of a step, and what each guess adds to it. */
  readonly stepMs: number
  readonly guessMs: number
  /** Of a round of drafting, for all slots together. */
  readonly draftMs: number
}

/** Answers that do not repeat themselves enough for prompt lookup. */
const answer: Partial<NewSequence> = { maxTokens: 200 }
const roomy: Partial<SchedulerConfig> = { contextSize: 1200, mostGuesses: 7 }

/** A step that takes what the times say, drafting included, as the engine tells. */
async function step (rig: Rig, { stepMs, guessMs, draftMs }: Times): Promise<StepPlan> {
  const plan = rig.plan()
  const outcomes = await rig.engine.step(plan)
  const rounds = Math.max(0, ...outcomes.map((outcome) => 'token' in outcome ? outcome.drafted?.count ?? 0 : 0))
  const drafting = outcomes.filter((outcome) => 'token' in outcome && outcome.drafted !== undefined).length
  rig.now += stepMs + rounds * draftMs
  for (const { guessCount = 0 } of plan.work) rig.now += guessCount * guessMs
  const told = outcomes.map((outcome) => {
    if (!('token' in outcome) || outcome.drafted === undefined) return outcome
    rig.now += outcome.drafted.count * guessMs
    return { ...outcome, drafted: { ...outcome.drafted, durationMs: rounds * draftMs / drafting } }
  })
  rig.scheduler.commit(plan, told, rig.now)
  return plan
}

const run = async (rig: Rig, times: Times): Promise<StepPlan[]> => {
  const plans: StepPlan[] = []
  while (rig.scheduler.snapshot().running + rig.scheduler.waitingCount > 0) plans.push(await step(rig, times))
  expect(rig.engine.violations).toEqual([])
  return plans
}

/** As on a GPU: guesses cost next to nothing, and a draft a tenth of a step. */
const cheap: Times = { stepMs: 10, guessMs: 0.1, draftMs: 1 }

describe('a draft model', () => {
  it('is not asked unless guesses are wanted', async () => {
    const rig = new Rig({ contextSize: 1200 }, new Map(), 0.9)
    rig.add('a', text(1, 20), answer)
    expect((await run(rig, cheap)).some(({ work }) => work[0]!.draft !== undefined)).toBe(false)
  })

  it('saves steps where it is right and cheap, within the number of guesses allowed', async () => {
    const rig = new Rig(roomy, new Map(), 0.9)
    rig.add('a', text(1, 20), answer)
    const plans = await run(rig, cheap)
    expect(plans.length).toBeLessThan(80)
    for (const { work: [work] } of plans) expect(work!.draft ?? 0).toBeLessThanOrEqual(7)
    const { draftedTokens, rightDrafts, guessedTokens, rightGuesses, drawnTokens } = rig.scheduler.snapshot()
    expect(drawnTokens).toBe(200)
    expect(rightDrafts).toBeGreaterThan(0.6 * draftedTokens)
    expect(rightGuesses).toBeGreaterThanOrEqual(rightDrafts)
    expect(guessedTokens).toBeGreaterThanOrEqual(draftedTokens)
    expect(rightGuesses + plans.length).toBe(200)
  })

  it('is given up where drafting takes as long as it saves, although its guesses are right', async () => {
    const rig = new Rig(roomy, new Map(), 1)
    rig.add('a', text(1, 20), { ...answer, maxTokens: 1000 })
    await run(rig, { stepMs: 10, guessMs: 0.1, draftMs: 10 })
    expect(rig.scheduler.snapshot().draftedTokens).toBeLessThan(60)
  })

  it('is given up where checking takes longer than drawing, although its guesses are right', async () => {
    const rig = new Rig({ ...roomy, contextSize: 3200 }, new Map(), 1)
    rig.add('a', text(1, 20), { ...answer, maxTokens: 3000 })
    const plans = await run(rig, { stepMs: 10, guessMs: 12, draftMs: 1 })
    const asked = plans.filter(({ work: [work] }) => work!.draft !== undefined).length
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThan(100)
  })

  it('is given up where it is wrong, and tried again rarely', async () => {
    const rig = new Rig(roomy, new Map(), 0.05)
    rig.add('a', text(1, 20), { ...answer, maxTokens: 1000 })
    const plans = await run(rig, cheap)
    const asked = plans.flatMap(({ work: [work] }, index) => work!.draft === undefined ? [] : [index])
    expect(asked.length).toBeLessThan(60)
    expect(asked.at(-1)).toBeGreaterThan(200)
  })

  it('is asked for all streams of a step, for as many guesses each', async () => {
    const rig = new Rig(roomy, new Map(), 0.9)
    rig.add('a', text(1, 20), answer)
    rig.add('b', text(2, 20), answer)
    const plans = await run(rig, cheap)
    const drafting = plans.filter(({ work }) => work.length === 2 && work.some(({ draft }) => draft !== undefined))
    expect(drafting.length).toBeGreaterThan(10)
    for (const { work } of drafting) expect(new Set(work.map(({ draft = 0, guessCount = draft }) => guessCount)).size).toBe(1)
  })

  it('leaves the guessing to lookup where an answer repeats itself', async () => {
    const rig = new Rig(roomy, new Map(), 0.7)
    rig.add('a', text(1, 20), { maxTokens: 300, sampling: { ...greedySampling, ignoreEos: true, logitBias: [[70, 50]] } })
    const plans = await run(rig, cheap)
    const late = plans.slice(-10)
    expect(late.every(({ work: [work] }) => work!.draft === undefined)).toBe(true)
    expect(late.some(({ work: [work] }) => work!.guessCount === 7)).toBe(true)
  })

  it('helps out for one stream while lookup guesses for another', async () => {
    const rig = new Rig(roomy, new Map(), 0.8)
    rig.add('a', text(1, 20), { maxTokens: 300, sampling: { ...greedySampling, ignoreEos: true, logitBias: [[70, 50]] } })
    rig.add('b', text(2, 20), { maxTokens: 300 })
    const plans = await run(rig, cheap)
    expect(plans.some(({ work }) => work.some(({ draft }) => draft !== undefined) && work.some(({ guessCount }) => guessCount !== undefined))).toBe(true)
  })

  it('keeps to the step’s budget and to what the sequence may still draw', async () => {
    const rig = new Rig({ ...roomy, mostGuesses: 15, stepTokens: 9 }, new Map(), 1)
    rig.add('a', text(1, 8), { maxTokens: 6 })
    rig.add('b', text(2, 8), { maxTokens: 40 })
    for (const { work } of await run(rig, cheap)) {
      expect(work.reduce((sum, { tokens, draft = 0 }) => sum + tokens.length + draft, 0)).toBeLessThanOrEqual(9)
      for (const { sequence, sample, draft = 0 } of work) {
        if (sample !== undefined) expect(sample.index + draft + 1).toBeLessThanOrEqual(sequence === id('a') ? 6 : 40)
      }
    }
  })

  it('is not asked under a grammar, nor beside prompts', async () => {
    const rig = new Rig({ ...roomy, targetItlMs: 1, stepTokens: 40 }, new Map(), 1)
    rig.add('a', text(1, 20), answer)
    for (let count = 0; count < 10; count++) await step(rig, cheap)
    expect(rig.scheduler.snapshot().draftedTokens).toBeGreaterThan(0)
    rig.add('b', text(2, 100), { maxTokens: 1 })
    let plan = await step(rig, cheap)
    for (; plan.work.length > 1; plan = await step(rig, cheap)) expect(summary(plan)[0]).toMatch(/^a \d+\+1\*$/)

    const strict = new Rig(roomy, new Map(), 1)
    strict.add('a', text(1, 20), { ...answer, sampling: { ...greedySampling, grammar: 'root ::= "a"' } })
    for (let count = 0; count < 30; count++) {
      const planned = strict.plan()
      expect(planned.work[0]!.draft).toBeUndefined()
      strict.scheduler.commit(planned, [{ slot: planned.work[0]!.slot, token: asToken(70 + count) }], strict.now)
    }
  })

  /** Steps whose outcomes are made up, of one sequence that never repeats itself. */
  const outcomes = (rig: Rig, count: number, drafted: DraftOutcome | undefined): number => {
    let asked = 0
    for (let step = 0; step < count; step++) {
      const plan = rig.plan()
      const { slot, draft } = plan.work[0]!
      rig.now += 10 + (drafted?.durationMs ?? 0) + (drafted?.readMs ?? 0)
      if (draft !== undefined) asked++
      rig.scheduler.commit(plan, [{ slot, token: asToken(70 + plan.id), ...(draft === undefined || drafted === undefined ? {} : { drafted }) }], rig.now)
    }
    return asked
  }

  it('is asked on while it reads, which teaches nothing of what guesses are worth', () => {
    const rig = new Rig(roomy, new Map(), 1)
    rig.add('a', text(1, 20), answer)
    outcomes(rig, 2, undefined)
    expect(outcomes(rig, 50, { count: 0, durationMs: 0, readMs: 1000, isBehind: true })).toBe(50)
    expect(rig.scheduler.snapshot()).toMatchObject({ draftedTokens: 0, rightDrafts: 0 })
  })

  it('is given up where it expects an end that does not come', () => {
    const rig = new Rig(roomy, new Map(), 1)
    rig.add('a', text(1, 20), answer)
    expect(outcomes(rig, 100, { count: 0, durationMs: 2, readMs: 0 })).toBeLessThan(10)
  })

  it('that the engine turns out not to have is soon asked no more', () => {
    const rig = new Rig({ ...roomy, hasDraftModel: true })
    rig.add('a', text(1, 20), answer)
    expect(outcomes(rig, 100, undefined)).toBeLessThan(10)
    expect(rig.scheduler.snapshot()).toMatchObject({ drawnTokens: 100, guessedTokens: 0, draftedTokens: 0 })
  })
})
