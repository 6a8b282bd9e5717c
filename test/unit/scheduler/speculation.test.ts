import { describe, expect, it } from 'vitest'
import { asToken, type Token } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import type { NewSequence, SequenceEvent } from '../../../src/scheduler/scheduler-types.ts'
import { StepCosts } from '../../../src/scheduler/policies/step-costs.ts'
import { Trust } from '../../../src/scheduler/policies/trust.ts'
import { id, Rig, summary, text } from './rig.ts'

describe('StepCosts', () => {
  const learned = (costs: StepCosts, tokens: number, durationMs: number): void => {
    for (let step = 0; step < 3; step++) costs.learn(tokens, durationMs)
  }

  it('knows nothing before the first step, and thinks little of what more tokens cost until they were tried', () => {
    const costs = new StepCosts()
    expect(costs.estimate(2, 1)).toBeNull()
    costs.learn(1, 100)
    expect(costs.estimate(1, 1)).toBe(100)
    expect(costs.estimate(5, 1)).toBe(200)
    // One slow step says nothing yet.
    costs.learn(5, 480)
    expect(costs.estimate(5, 1)).toBe(200)
    costs.learn(5, 490)
    costs.learn(5, 490)
    expect(costs.estimate(5, 1)).toBe(480)
  })

  it('hopes for larger sizes in the light of the next smaller one', () => {
    const costs = new StepCosts()
    learned(costs, 1, 100)
    learned(costs, 3, 120)
    expect(costs.estimate(5, 1)).toBe(140)
    // A leap from one token to more may be the last: only the leap itself is certain.
    learned(costs, 5, 400)
    expect(costs.estimate(9, 1)).toBe(400)
    expect(costs.estimate(17, 1)).toBe(500)
    // A step of more tokens takes no less time, whatever was measured.
    const odd = new StepCosts()
    learned(odd, 1, 100)
    learned(odd, 3, 20)
    expect(odd.estimate(4, 1)).toBe(100)
  })

  it('takes the fastest of the first steps, then follows, and is not thrown by one that something else delayed', () => {
    const costs = new StepCosts()
    for (const duration of [900, 100, 120]) costs.learn(1, duration)
    expect(costs.estimate(1, 1)).toBe(100)
    costs.learn(1, 1_000_000)
    expect(costs.estimate(1, 1)).toBeCloseTo(110)
    for (let step = 0; step < 150; step++) costs.learn(1, 200)
    expect(costs.estimate(1, 1)).toBeCloseTo(200, 0)
    for (let step = 0; step < 20; step++) costs.learn(1, 50)
    expect(costs.estimate(1, 1)).toBeCloseTo(50, 0)
  })

  it('goes by the steps that nothing else delays, where half of them are', () => {
    const costs = new StepCosts()
    for (let step = 0; step < 200; step++) costs.learn(1, step % 2 === 0 ? 100 : 200)
    expect(costs.estimate(1, 1)).toBeLessThan(120)
  })

  it('forgets slowly what is not tried', () => {
    const costs = new StepCosts()
    learned(costs, 4, 100)
    for (let step = 0; step < 200; step++) costs.passOver(4)
    expect(costs.estimate(4, 1)).toBeGreaterThan(75)
    expect(costs.estimate(4, 1)).toBeLessThan(90)
    costs.passOver(5)
    expect(costs.estimate(5, 4)).toBeGreaterThan(75)
  })
})

describe('Trust', () => {
  it('thinks more of longer matches, and changes its mind by what it sees of each length', () => {
    const trust = new Trust()
    const chances = (): number[] => [2, 4, 8, 16].map((length) => trust.chance(length))
    expect(chances()).toEqual(chances().toSorted((a, b) => a - b))
    const [short, , , long] = chances()
    for (let seen = 0; seen < 40; seen++) {
      trust.observe(true, 3)
      trust.observe(false, 100)
    }
    expect(trust.chance(2)).toBeGreaterThan(0.85)
    expect(trust.chance(16)).toBeLessThan(0.2)
    expect(trust.chance(2)).toBeGreaterThan(short!)
    expect(trust.chance(16)).toBeLessThan(long!)
    for (let seen = 0; seen < 100; seen++) trust.observe(false, 2)
    expect(trust.chance(2)).toBeLessThan(0.2)
  })
})

/** The answer is one token again and again. */
const repetitive: Partial<NewSequence> = { maxTokens: 60, sampling: { ...greedySampling, ignoreEos: true, logitBias: [[70, 50]] } }

/** A step takes 10 ms and what each token beyond the first of every sequence costs. */
async function step (rig: Rig, guessMs: number): Promise<string[]> {
  const plan = rig.plan()
  rig.now += 10
  for (const { guessCount = 0 } of plan.work) rig.now += guessCount * guessMs
  await rig.carryOut(plan)
  return summary(plan)
}

const run = async (rig: Rig, guessMs: number): Promise<string[][]> => {
  const steps: string[][] = []
  while (rig.scheduler.snapshot().running + rig.scheduler.waitingCount > 0) steps.push(await step(rig, guessMs))
  expect(rig.engine.violations).toEqual([])
  return steps
}

describe('guesses', () => {
  it('are not made unless they are asked for', async () => {
    const rig = new Rig()
    rig.add('a', text(1, 20), repetitive)
    expect(await run(rig, 0)).toHaveLength(60)
    expect(rig.scheduler.snapshot()).toMatchObject({ guessedTokens: 0, rightGuesses: 0 })
  })

  it('save steps where they cost little, up to the number allowed', async () => {
    const rig = new Rig({ mostGuesses: 7 })
    rig.add('a', text(1, 20), repetitive)
    const steps = await run(rig, 1)
    expect(steps.length).toBeLessThan(20)
    expect(steps.flat().map((work) => work.split('+')[1])).toContain('8*')
    expect(steps.flat().map((work) => work.split('+')[1])).not.toContain('16*')
    const { guessedTokens, rightGuesses, drawnTokens } = rig.scheduler.snapshot()
    expect(drawnTokens).toBe(60)
    expect(rightGuesses).toBe(guessedTokens)
    expect(rightGuesses + steps.length).toBe(60)
  })

  it('come from a prediction too, which changes no token', async () => {
    const options: Partial<NewSequence> = { maxTokens: 60, sampling: { ...greedySampling, ignoreEos: true, temperature: 1, seed: 3 } }
    const drawnBy = async (more: Partial<NewSequence>): Promise<{ tokens: Token[], steps: number }> => {
      const rig = new Rig({ mostGuesses: 7 })
      rig.add('a', text(1, 20), { ...options, ...more })
      const tokens: Token[] = []
      let steps = 0
      for (; tokens.length < 60; steps++) {
        const plan = rig.plan()
        rig.now += 10 + (plan.work[0]!.guessCount ?? 0)
        for (const event of (await rig.carryOut(plan)).events) if (event.type === 'token-drawn') tokens.push(event.token)
      }
      expect(rig.engine.violations).toEqual([])
      return { tokens, steps }
    }
    const plain = await drawnBy({})
    const predicted = await drawnBy({ prediction: plain.tokens })
    expect(predicted.tokens).toEqual(plain.tokens)
    expect(predicted.steps).toBeLessThan(plain.steps / 2)
    const wrong = await drawnBy({ prediction: text(5, 60) })
    expect(wrong.tokens).toEqual(plain.tokens)
  })

  it('from a prediction are told apart: those that were drawn, and those that were not', async () => {
    const options: Partial<NewSequence> = { maxTokens: 60, sampling: { ...greedySampling, ignoreEos: true, temperature: 1, seed: 3 } }
    const count = async (more: Partial<NewSequence>) => {
      const rig = new Rig({ mostGuesses: 7 })
      rig.add('a', text(1, 20), { ...options, ...more })
      const events: SequenceEvent[] = []
      while (rig.scheduler.snapshot().running + rig.scheduler.waitingCount > 0) {
        const plan = rig.plan()
        rig.now += 10 + (plan.work[0]!.guessCount ?? 0)
        events.push(...(await rig.carryOut(plan)).events)
      }
      const drawn = events.filter((event) => event.type === 'token-drawn')
      const { guessedTokens, rightGuesses } = rig.scheduler.snapshot()
      return {
        tokens: drawn.map(({ token }) => token),
        accepted: drawn.filter(({ isPredicted }) => isPredicted).length,
        rejected: events.reduce((sum, event) => sum + (event.type === 'prediction-rejected' ? event.tokens : 0), 0),
        guessedTokens,
        rightGuesses
      }
    }
    const plain = await count({})
    expect(plain).toMatchObject({ accepted: 0, rejected: 0 })
    const right = await count({ prediction: plain.tokens })
    expect(right).toMatchObject({ accepted: right.rightGuesses, rejected: 0, tokens: plain.tokens })
    expect(right.accepted).toBeGreaterThan(30)
    // After its first half the answer is another one.
    const half = await count({ prediction: [...plain.tokens.slice(0, 30), ...text(5, 60)] })
    expect(half.tokens).toEqual(plain.tokens)
    expect(half.accepted).toBeGreaterThan(15)
    expect(half.accepted).toBeLessThanOrEqual(30)
    expect(half.rejected).toBeGreaterThan(0)
    expect(half.accepted + half.rejected).toBeLessThanOrEqual(half.guessedTokens)
    // What an answer repeats of itself is nobody's prediction.
    const repeating = await count({ ...repetitive, prediction: text(5, 60) })
    expect(repeating.rightGuesses).toBeGreaterThan(30)
    expect(repeating).toMatchObject({ accepted: 0 })
  })

  it('are given up where each takes as long as a step', async () => {
    const rig = new Rig({ mostGuesses: 7, contextSize: 1200 })
    rig.add('a', text(1, 20), { ...repetitive, maxTokens: 1000 })
    const steps = await run(rig, 20)
    const { guessedTokens } = rig.scheduler.snapshot()
    // Each size is tried, and tried again at long intervals.
    expect(guessedTokens).toBeGreaterThan(0)
    expect(guessedTokens).toBeLessThan(100)
    expect(steps.length).toBeGreaterThan(900)
  })

  it('are given up for a sequence for which they are wrong, and made for one for which they are right', async () => {
    const rig = new Rig({ mostGuesses: 7, contextSize: 1200, slotsPerLane: 1 })
    // Two tokens, one of which is drawn by the dice.
    const sampling = { ...greedySampling, temperature: 1, ignoreEos: true, seed: 5, logitBias: Array.from({ length: 12 }, (_, index): [number, number] => [70 + index, 50]) }
    rig.add('wrong', text(1, 20), { maxTokens: 400, sampling })
    const wrong = await run(rig, 2)
    expect(wrong.length).toBeGreaterThan(350)
    const { guessedTokens } = rig.scheduler.snapshot()
    rig.add('right', text(2, 20), repetitive)
    expect((await run(rig, 2)).length).toBeLessThan(30)
    expect(rig.scheduler.snapshot().guessedTokens).toBeGreaterThan(guessedTokens + 30)
  })

  it('are made for all of the streams of a step, or none', async () => {
    const rig = new Rig({ mostGuesses: 7 })
    rig.add('a', text(1, 20), repetitive)
    rig.add('b', text(2, 20), { maxTokens: 60 })
    expect((await run(rig, 0)).some((works) => works.some((work) => /^b \d+\+([2-9]|1\d)\*/.test(work) && !work.startsWith('b 0+')))).toBe(false)
    const both = new Rig({ mostGuesses: 7 })
    both.add('a', text(1, 20), repetitive)
    both.add('b', text(2, 20), repetitive)
    const together = await run(both, 0)
    expect(together.some(([one, other]) => one!.endsWith('+8*') && other!.endsWith('+8*'))).toBe(true)
  })

  it('wait while a prompt is read, and until a prompt’s last token was', async () => {
    const rig = new Rig({ mostGuesses: 7, targetItlMs: 1, stepTokens: 40 })
    rig.add('a', text(1, 20), repetitive)
    for (let count = 0; count < 10; count++) await step(rig, 0)
    const { guessedTokens } = rig.scheduler.snapshot()
    expect(guessedTokens).toBeGreaterThan(0)
    rig.add('b', text(2, 100), { maxTokens: 1 })
    const works: string[][] = []
    while (works.at(-1)?.[0] !== 'b 80+20*') works.push(await step(rig, 0))
    // The streams' own steps have no guesses either, as long as somebody's prompt is read.
    const alone: unknown = expect.stringMatching(/^a \d+\+1\*$/)
    expect(works).toEqual([['b 0+40'], [alone], ['b 40+40'], [alone], ['b 80+20*']])
    expect(rig.scheduler.snapshot().guessedTokens).toBe(guessedTokens)
    await step(rig, 0)
    expect(rig.scheduler.snapshot().guessedTokens).toBeGreaterThan(guessedTokens)
  })

  it('wait while another number of threads is tried', async () => {
    const rig = new Rig({ mostGuesses: 1, contextSize: 1200, threads: 2 })
    rig.add('a', text(1, 20), { ...repetitive, maxTokens: 600 })
    const tried = new Set<number | undefined>()
    const usual = new Set<number | undefined>()
    while (rig.scheduler.snapshot().running + rig.scheduler.waitingCount > 0) {
      const plan = rig.plan()
      const [work] = plan.work
      if (plan.threads === 1) tried.add(work!.guessCount)
      else usual.add(work!.guessCount)
      rig.now += 10 + (work!.guessCount ?? 0)
      await rig.carryOut(plan)
    }
    expect([...tried]).toEqual([undefined])
    expect(usual).toContain(1)
  })

  it('are not made under a grammar', () => {
    const rig = new Rig({ mostGuesses: 7 })
    rig.add('a', text(1, 20), { ...repetitive, sampling: { ...repetitive.sampling!, grammar: 'root ::= "a"' } })
    // The outcomes are made up: an answer that repeats itself is what guesses would be made for.
    for (let count = 0; count < 30; count++) {
      const plan = rig.plan()
      expect(plan.work[0]!.guessCount).toBeUndefined()
      rig.scheduler.commit(plan, [{ slot: plan.work[0]!.slot, token: asToken(70) }], rig.now)
    }
  })

  it('end with the sequence: no event and no token follows the end of an answer', () => {
    const rig = new Rig({ mostGuesses: 7 })
    const [end] = rig.engine.info.endTokens
    rig.add('a', text(1, 20), { maxTokens: null })
    const draw = (...tokens: Token[]): string[] => {
      const plan = rig.plan()
      const [token, ...further] = tokens
      return rig.scheduler.commit(plan, [{
        slot: plan.work[0]!.slot, token: token!, ...(further.length === 0 ? {} : { further: further.map((each) => ({ token: each })) })
      }], rig.now).map((event) => event.type === 'token-drawn' ? `${event.token}` : event.type)
    }
    expect(draw(asToken(70))).toEqual(['sequence-started', '70'])
    while (rig.scheduler.snapshot().guessedTokens === 0) draw(asToken(70))
    // An engine that does not stop at the end is no reason to say more.
    expect(draw(asToken(70), end!, asToken(70))).toEqual(['70', 'sequence-finished'])
    expect(rig.isIdle()).toBe(true)
  })

  it('leave no wrong token behind in what the next sequence keeps', async () => {
    const rig = new Rig({ mostGuesses: 7, slotsPerLane: 1 })
    rig.add('a', text(1, 20), { ...repetitive, maxTokens: 30 })
    let plan = rig.plan()
    for (; plan.work[0]!.guessCount === undefined; plan = rig.plan()) await rig.carryOut(plan)
    rig.scheduler.abort(id('a'))
    await rig.carryOut(plan)
    // What was drawn in the plan of a sequence that is gone is not known to be there.
    const { keep, tokens } = plan.work[0]!
    rig.add('b', [...text(1, 20), ...Array.from({ length: 100 }, () => asToken(70))], { maxTokens: 1 })
    const next = await rig.step()
    expect(next.plan.work[0]!.keep).toBe(keep + tokens.length - plan.work[0]!.guessCount)
    expect(rig.engine.violations).toEqual([])
  })
})
