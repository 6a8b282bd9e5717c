import { describe, expect, it } from 'vitest'
import { textUntil } from '../../../src/chat/dialects/text-until.ts'
import { gbnfLiteral } from '../../../src/chat/structured/gbnf-text.ts'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asLaneId, asSequenceId, asSlotId, type Token } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, type Sampling } from '../../../src/domain/sampling.ts'
import { createFakeEngine, type FakeEngine, type FakeEngineOptions } from '../../../src/engine/fake/fake-engine.ts'
import { laterIndex } from '../../../src/engine/fake/faults.ts'
import { createRealSleep, stepDuration } from '../../../src/engine/fake/step-latency.ts'
import type { SlotWork, StepPlan, WorkOutcome } from '../../../src/scheduler/plan.ts'
import { type DrivenSequence, EngineDriver } from '../../contract/engine/engine-driver.ts'

const prompt = (engine: FakeEngine, text: string): Token[] =>
  engine.tokenizer.tokenize(`<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`, { special: true })

const answer = async (engine: FakeEngine, text: string, sampling: Sampling, count = 400): Promise<string> => {
  const sequence = await new EngineDriver(engine).alone(prompt(engine, text), count, { sampling })
  return Buffer.concat(sequence.drawn.map((token) => engine.tokenizer.tokenBytes(token))).toString('utf8')
}

const start = (engine: FakeEngine, text: string): { driver: EngineDriver, sequence: DrivenSequence } => {
  const driver = new EngineDriver(engine)
  return { driver, sequence: driver.sequence(prompt(engine, text)) }
}

const plan = (work: readonly SlotWork[]): StepPlan =>
  ({ id: 1, lane: asLaneId(0), threads: 1, adapters: baseAdapterSet, released: [], work })

describe('fake engine', () => {
  it('writes words, ends by itself, and splits characters over tokens now and then', async () => {
    const texts: string[] = []
    for (let seed = 0; seed < 100; seed++) texts.push(await answer(createFakeEngine(), `${seed}`, defaultSampling(seed)))
    expect(texts.every((text) => /^[A-Z][a-zï]* /.test(text))).toBe(true)
    const lengths = texts.map((text) => text.length).toSorted((a, b) => a - b)
    expect(lengths[50]).toBeGreaterThan(40)
    expect(lengths[99]).toBeLessThan(4000)
    const all = texts.join('\n')
    for (const piece of ['café', 'naïve', '🌉', '🦊', '日']) expect(all).toContain(piece)
    // Now and then an unlikely token is drawn inside a character.
    expect((all.match(/\ufffd/g) ?? []).length).toBeLessThan(5)

    const { tokenizer } = createFakeEngine()
    expect(tokenizer.tokenize('🌉', { special: false }).length).toBeGreaterThan(1)
  })

  it('refuses a plan that no correct scheduler makes, remembers it, and goes on', async () => {
    const engine = createFakeEngine()
    const bad = plan([{ sequence: asSequenceId('a'), slot: asSlotId(0), keep: 3, tokens: prompt(engine, 'x') }])
    await expect(engine.step(bad)).rejects.toMatchObject({ name: 'PlanViolation' })
    expect(engine.violations).toHaveLength(1)
    await expect(engine.step({ ...bad, id: 2, work: [{ ...bad.work[0]!, keep: 0 }] })).resolves.toEqual([{ slot: 0, token: null }])
  })

  it('does not step a lane twice at once', async () => {
    const engine = createFakeEngine()
    const { driver, sequence } = start(engine, 'hello')
    const first = driver.step([[sequence]])
    await expect(driver.step([[sequence]])).rejects.toThrow(/stepping already/)
    await first
  })

  it.each([
    ['root ::= "yes" | "no"', /^(?:yes|no)$/],
    ['root ::= "größer 😀日"', /^größer 😀日$/u],
    ['root ::= item{3}\nitem ::= [a-c] [^a-zA-Z0-9]', /^(?:[a-c][^a-zA-Z0-9]){3}$/u],
    ['root ::= "\\"" [é-ü]{2,4} "\\""', /^"[é-ü]{2,4}"$/u],
    ['root ::= " the " ( "quiet " | "small " )* "river"', /^ the (?:quiet |small )*river$/]
  ])('follows the grammar %s', async (grammar, expected) => {
    for (let seed = 0; seed < 20; seed++) {
      const engine = createFakeEngine()
      engine.checkGrammar(grammar)
      expect(await answer(engine, 'x', { ...defaultSampling(seed), grammar, ignoreEos: seed % 2 === 0, logitBias: [[65, 100]] })).toMatch(expected)
    }
  })

  it('follows a grammar from its trigger on', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const free = await answer(createFakeEngine(), 'x', defaultSampling(seed))
      // Wherever it begins within a token.
      const trigger = /[a-z ]{3}/.exec(free.slice(Math.floor(free.length / 2)))?.[0] ?? free.slice(0, 3)
      const before = free.slice(0, free.indexOf(trigger))
      const grammar = `root ::= ${gbnfLiteral(trigger)} [^7]{0,20} "7"`
      const held = await answer(createFakeEngine(), 'x', { ...defaultSampling(seed), grammar, grammarTrigger: trigger })
      expect(held.startsWith(before + trigger)).toBe(true)
      expect(held.slice(before.length).indexOf('7')).toBe(held.length - before.length - 1)
      const never = await answer(createFakeEngine(), 'x', { ...defaultSampling(seed), grammar: 'root ::= "7"', grammarTrigger: '\u0001' })
      expect(never).toBe(free)
    }
  })

  it('ends reasoning that has had its tokens', async () => {
    const reasoningLimit = { tokens: 5, open: null, close: '</think>' }
    const free = await answer(createFakeEngine(), 'x', defaultSampling(2))
    const limited = await answer(createFakeEngine(), 'x', { ...defaultSampling(2), reasoningLimit })
    const [before, after] = limited.split('\n</think>\n\n')
    expect(free.startsWith(before!)).toBe(true)
    expect(before!.length).toBeGreaterThan(0)
    expect(after).not.toBe('')
    const rules: string[] = []
    const reasoning = textUntil('</think>', 'reasoning', (name, body) => {
      rules.push(`${name} ::= ${body}`)
      return name
    })
    const grammar = [`root ::= ${reasoning} "\\n"* [0-9]{3}`, ...rules].join('\n')
    expect(await answer(createFakeEngine(), 'x', { ...defaultSampling(2), reasoningLimit, grammar })).toMatch(/^[^]+\n<\/think>\n{2,}\d{3}$/)
  })

  it('goes on freely when a grammar does not have what came with its trigger', async () => {
    const free = await answer(createFakeEngine(), 'x', defaultSampling(1))
    expect(await answer(createFakeEngine(), 'x', { ...defaultSampling(1), grammar: 'root ::= "7"', grammarTrigger: free.slice(4, 8) })).toBe(free)
  })

  it('says when no token continues an answer as its grammar demands', async () => {
    await expect(answer(createFakeEngine(), 'x', { ...greedySampling, grammar: 'root ::= "a" [\\uD800]' })).rejects.toMatchObject({ code: 'invalid_grammar' })
  })

  it('has log-probabilities that add up to one over the vocabulary', async () => {
    const engine = createFakeEngine()
    const driver = new EngineDriver(engine)
    const text = prompt(engine, 'x')
    const total = { mass: 0 }
    for (let token = 0; token < engine.info.model.vocabularySize; token++) {
      const logitBias: [number, number][] = [[token, 100]]
      const sequence = await driver.alone(text, 1, { sampling: { ...greedySampling, logprobs: 0, logitBias } })
      expect(sequence.drawn).toEqual([token])
      total.mass += Math.exp(sequence.logprobs[0]!.logprob)
    }
    expect(total.mass).toBeCloseTo(1, 6)
  })

  describe('draft model', () => {
    it('is right as often as it is told to be', async () => {
      const shares: number[] = []
      for (const draftAcceptance of [0, 0.5, 1]) {
        const engine = createFakeEngine({ draftAcceptance })
        const driver = new EngineDriver(engine)
        let [drafted, right] = [0, 0]
        for (let seed = 0; seed < 20; seed++) {
          const sequence = driver.sequence(prompt(engine, `${seed}`), { sampling: { ...defaultSampling(seed), ignoreEos: true } })
          await driver.step([[sequence]])
          for (let step = 0; step < 20; step++) {
            const [outcome] = await driver.step([[sequence, { draft: 1 }]])
            if (!('token' in outcome!) || outcome.drafted === undefined) throw new Error('no draft')
            drafted += outcome.drafted.count
            right += outcome.further?.length ?? 0
          }
          driver.end(sequence)
        }
        shares.push(right / drafted)
      }
      expect(shares[0]).toBe(0)
      expect(shares[1]).toBeGreaterThan(0.4)
      expect(shares[1]).toBeLessThan(0.6)
      expect(shares[2]).toBe(1)
    })

    it('is not there unless asked for: a draft that is wanted is none', async () => {
      const engine = createFakeEngine()
      expect(engine.info.draftModel).toBeUndefined()
      const { driver, sequence } = start(engine, 'hello')
      await driver.step([[sequence]])
      const [outcome] = await driver.step([[sequence, { draft: 3 }]])
      expect(outcome).not.toHaveProperty('drafted')
      expect(sequence.drawn).toHaveLength(2)
    })
  })

  describe('time', () => {
    it('is what the costs say: per step, per decoding sequence, per prompt token', async () => {
      const slept: number[] = []
      const engine = createFakeEngine({
        stepMs: 5, decodeTokenMs: 0.5, prefillTokenMs: 0.25, sleep: async (durationMs) => { slept.push(durationMs) }
      })
      const { driver, sequence } = start(engine, 'hello')
      const other = driver.sequence(prompt(engine, 'another'), { slot: 1 })
      await driver.step([[sequence, { chunk: 4 }]])
      await driver.step([[sequence], [other, { chunk: 2 }]])
      await driver.step([[sequence], [other, { chunk: 2 }]])
      await driver.step([[sequence]])
      const rest = sequence.promptLength - 4
      expect(slept).toEqual([5 + 4 * 0.25, 5 + (rest + 2) * 0.25, 5 + 0.5 + 2 * 0.25, 5.5])
    })

    it('takes none without costs: no timer, yet others get their turn', async () => {
      const engine = createFakeEngine({ sleep: async () => { throw new Error('slept') } })
      const { driver, sequence } = start(engine, 'hello')
      let turns = 0
      const count = (): void => {
        turns++
        if (turns < 1000) setImmediate(count)
      }
      setImmediate(count)
      await driver.run([sequence], 5)
      expect(turns).toBeGreaterThan(0)
    })

    it('makes up for waits that took too long', async () => {
      let clock = 0
      // Whatever the timer does, the clock says that it took three times as long.
      const wanted: number[] = []
      const now = (): number => {
        const last = clock
        clock += 12
        wanted.push(last)
        return last
      }
      const sleep = createRealSleep(now)
      const { signal } = new AbortController()
      await sleep(4, signal)
      expect(wanted).toHaveLength(2)
      // 8 ms too long: the next step's 4 ms are paid for already.
      await sleep(4, signal)
      expect(wanted).toHaveLength(2)
    })

    it('is that of prompt tokens for guesses', () => {
      const engine = createFakeEngine()
      const { driver, sequence } = start(engine, 'hello')
      const work = { ...driver.work(sequence), tokens: prompt(engine, 'x').slice(0, 4), guessCount: 3 }
      const decode = { ...work, sample: { ...work.sample!, index: 1 } }
      expect(stepDuration(plan([decode]), { stepMs: 1, decodeTokenMs: 100, prefillTokenMs: 10 })).toBe(1 + 100 + 3 * 10)
    })

    it('is that of guesses and of drafting for what a draft model made', async () => {
      const slept: number[] = []
      const engine = createFakeEngine({
        stepMs: 5, decodeTokenMs: 0.5, prefillTokenMs: 0.25, draftTokenMs: 2, draftAcceptance: 1, sleep: async (durationMs) => { slept.push(durationMs) }
      })
      const { driver, sequence } = start(engine, 'hello')
      await driver.step([[sequence]])
      const [outcome] = await driver.step([[sequence, { draft: 3 }]])
      expect(outcome).toMatchObject({ drafted: { count: 3, durationMs: 6, readMs: 0 } })
      expect(slept[1]).toBe(5 + 0.5 + 3 * (0.25 + 2))
    })

    it('counts a resumed prompt’s last chunk as prompt', () => {
      const engine = createFakeEngine()
      const { driver, sequence } = start(engine, 'hello')
      expect(stepDuration(plan([driver.work(sequence)]), { stepMs: 1, decodeTokenMs: 100, prefillTokenMs: 1 }))
        .toBe(1 + sequence.promptLength)
    })
  })

  describe('faults', () => {
    const steps = (entries: readonly (readonly [number, 'reject' | 'fail' | 'crash' | 'hang' | 'slow'])[]): FakeEngineOptions =>
      ({ faults: { steps: new Map(entries) } })

    it('happen only when switched on', async () => {
      expect(await answer(createFakeEngine(), 'please !crash and !reject', greedySampling, 3)).not.toBe('')
    })

    it('lose a whole step, after which the caches are unknown', async () => {
      const engine = createFakeEngine(steps([[2, 'reject']]))
      const { driver, sequence } = start(engine, 'hello')
      await driver.step([[sequence]])
      await expect(driver.step([[sequence]])).rejects.toMatchObject({ code: 'engine_error' })
      await expect(driver.step([[sequence]])).rejects.toThrow(/lost its content/)
      expect(engine.violations).toHaveLength(1)
    })

    it('lose one slot and leave the others alone', async () => {
      const engine = createFakeEngine({ faults: { markers: true } })
      const driver = new EngineDriver(engine)
      const [bad, good] = ['!fail', 'fine'].map((text, slot) => driver.sequence(prompt(engine, text), { slot }))
      const outcomes: WorkOutcome[] = [...await engine.step(plan([driver.work(bad!), driver.work(good!)]))]
      expect(outcomes).toMatchObject([{ slot: 0, error: { code: 'engine_error' } }, { slot: 1, token: expect.any(Number) }])
    })

    it('come later where the marker says so', async () => {
      const engine = createFakeEngine({ faults: { markers: true } })
      const sampling = { ...greedySampling, ignoreEos: true }
      const driver = new EngineDriver(engine)
      const sequence = driver.sequence(prompt(engine, 'go on, then !reject-later'), { sampling })
      await expect(driver.run([sequence], 100)).rejects.toMatchObject({ code: 'engine_error' })
      expect(sequence.drawn).toHaveLength(laterIndex)
    })

    it('come in the step whose guesses reach so far', async () => {
      const engine = createFakeEngine({ faults: { markers: true } })
      const driver = new EngineDriver(engine)
      const sequence = driver.sequence(prompt(engine, 'go on, then !fail-later'), { sampling: { ...greedySampling, ignoreEos: true } })
      await driver.run([sequence], laterIndex - 2)
      const guesses = prompt(engine, 'any').slice(0, 3)
      await expect(driver.step([[sequence, { guesses }]])).rejects.toMatchObject({ code: 'engine_error' })
    })

    it('come in the step whose draft may reach so far', async () => {
      const engine = createFakeEngine({ faults: { markers: true }, draftAcceptance: 0.5 })
      const driver = new EngineDriver(engine)
      const sequence = driver.sequence(prompt(engine, 'go on, then !fail-later'), { sampling: { ...greedySampling, ignoreEos: true } })
      await driver.run([sequence], laterIndex - 2)
      await expect(driver.step([[sequence, { draft: 3 }]])).rejects.toMatchObject({ code: 'engine_error' })
    })

    it('crash by calling what was injected, and never settle until disposed', async () => {
      let resolveCrashed = (): void => {}
      const crashed = new Promise<void>((resolve) => { resolveCrashed = resolve })
      const engine = createFakeEngine({ faults: { markers: true, crash: () => { resolveCrashed() } } })
      const { driver, sequence } = start(engine, '!crash')
      const failure = driver.step([[sequence]]).catch((error: unknown) => error)
      await crashed
      await engine[Symbol.asyncDispose]()
      expect(await failure).toMatchObject({ code: 'engine_unavailable' })
    })

    it('hang one lane while the other goes on', async () => {
      const engine = createFakeEngine({ laneCount: 2, faults: { markers: true } })
      const { driver, sequence } = start(engine, '!hang')
      const failure = driver.step([[sequence]]).catch((error: unknown) => error)
      await driver.alone(prompt(engine, 'hello'), 4, { lane: 1 })
      await engine[Symbol.asyncDispose]()
      expect(await failure).toMatchObject({ code: 'engine_unavailable' })
      await expect(engine.step(plan([]))).rejects.toMatchObject({ code: 'engine_unavailable' })
    })

    it('slow a step down', async () => {
      const slept: number[] = []
      const engine = createFakeEngine({
        sleep: async (durationMs) => { slept.push(durationMs) }, faults: { markers: true, slowStepMs: 77 }
      })
      expect(await answer(engine, '!slow', greedySampling, 3)).not.toBe('')
      expect(slept).toEqual([77])
    })
  })
})
